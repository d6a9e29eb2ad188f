/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auto_mailboxes.c - mailboxes that every account has (imap_auto_mailboxes)
 *
 * A client that does not find a mailbox for what it sends makes one, by a name of its own, and the next client another.
 * Where all are there, which is nearly always, this costs a stat each.
 *
 * Runs in: imapd, as the mailbox owner, when a client has signed in.
 */
#include "auto_mailboxes.h"

#include <errno.h>

static bool has_use(struct account *a, const char *use)
{
    struct mailbox_info *list;
    bool found = false;
    size_t n;

    if (!use || account_list(a, &list, &n) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        found |= list[i].special_use == use;
    account_list_free(list, n);
    return found;
}

static int create(struct account *a, struct span name)
{
    if (account_has(a, name) || has_use(a, account_use_of_name(name)))
        return 0;

    int r = account_create(a, name);

    if (r == -EEXIST)
        return 0; /* another session was first */
    return r < 0 ? r : account_subscribe(a, name, UINT32_MAX);
}

int auto_mailboxes(struct account *a, struct span list)
{
    struct span name;
    int first = 0;

    while (span_word(&list, " ,\t\r\n", &name)) {
        int r = create(a, name);

        if (first == 0)
            first = r;
    }
    return first;
}
