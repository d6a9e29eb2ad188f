/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sort_key.c - what messages are ordered by
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "sort_key.h"

#include "mail/address.h"
#include "mail/casemap.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/subject.h"

bool sort_key_subject(struct span header, struct str *ret)
{
    _cleanup_(str_free) struct str decoded = STR_INIT, base = STR_INIT;
    struct span value;
    bool is_reply;

    if (!mime_field_find(header, "Subject", &value))
        return false;
    header_decode(value, &decoded);
    is_reply = subject_base(str_span(&decoded), &base);
    casemap_add(ret, str_span(&base));
    return is_reply;
}

int64_t sort_key_date(struct span header, const struct mail_entry *e)
{
    struct span value;
    int64_t seconds;
    int zone;

    if (mime_field_find(header, "Date", &value) && date_parse(value, &seconds, &zone) == 0)
        return seconds;
    return e->received;
}

/* The field's first address that is no group's end; NULL if none. list is to be released in either case. */
static const struct header_address *first_address(struct span header, const char *field,
                                                  struct header_address_list *list)
{
    struct span value;

    if (!mime_field_find(header, field, &value))
        value = (struct span){ "", 0 };
    header_addresses_parse(value, 2, list);
    return list->len > 0 ? &list->items[0] : NULL;
}

void sort_key_mailbox(struct span header, const char *field, struct str *ret)
{
    struct header_address_list list;
    const struct header_address *a = first_address(header, field, &list);

    /* RFC 5256 section 3, FROM: the mailbox of the ENVELOPE, which for a group is its name */
    if (a)
        casemap_add(ret, a->kind == HDR_ADDR_GROUP_START ? a->display : str_span(&a->mailbox));
    header_addresses_done(&list);
}

void sort_key_display(struct span header, const char *field, struct str *ret)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    struct header_address_list list;
    const struct header_address *a = first_address(header, field, &list);

    if (a && a->display.len > 0)
        header_decode(a->display, &text);
    else if (a)
        str_addf(&text, "%.*s@%.*s", SPAN_ARG(str_span(&a->mailbox)), SPAN_ARG(str_span(&a->host)));
    casemap_add(ret, str_span(&text));
    header_addresses_done(&list);
}
