/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capability.c - what a signed-in client is told that the server can, less what the operator hides from it
 *
 * Runs in: imapd. The client's name is its own; the lists are the operator's.
 */
#include "capability.h"

#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"

enum { ID_NAME_MAX = 100 };

/* A row's number is its bit in s->hidden, which parked sessions keep. */
static const char *const names[] = {
#define CAPABILITY(name, where) name,
#include "imapd/capability.def"
#undef CAPABILITY
    "COMPRESS=DEFLATE",
    "APPENDLIMIT",
};
enum { COMPRESS = ARRAY_LEN(names) - 2, APPENDLIMIT };
_Static_assert(ARRAY_LEN(names) <= 64, "one bit each");

int capability_masks_open(const struct params *p, struct capability_masks *ret, struct str *err)
{
    const struct maps_setting settings[] = {
        { "imap_discard_capability_maps", p->imap_discard_capability_maps, &ret->by_account },
        { "imap_discard_capability_id_maps", p->imap_discard_capability_id_maps, &ret->by_id },
    };

    return maps_open_settings(settings, ARRAY_LEN(settings), err);
}

/* Names that we do not offer hide nothing. */
static void hide(struct imap *s, struct span list)
{
    struct span name;

    while (span_word(&list, " ,\t\r\n", &name))
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (span_eq_nocase_str(name, names[i]))
                s->hidden |= (uint64_t)1 << i;
}

static void hide_found(struct imap *s, int found, const char *parameter, const struct str *value)
{
    if (found > 0)
        hide(s, str_span(value));
    if (found < 0)
        log_warn("%s: %s cannot be read, nothing is hidden by it", s->log_name, parameter);
}

void capability_hide_for_account(struct imap *s, struct span user)
{
    _cleanup_(str_free) struct str value = STR_INIT;

    hide(s, span_of(s->params->imap_discard_capabilities));
    if (!s->masks || maps_empty(s->masks->by_account))
        return;
    int found = maps_get_address(s->masks->by_account, user, "", MAPS_FULL | MAPS_AT_DOMAIN, &value, NULL);
    hide_found(s, found, "imap_discard_capability_maps", &value);
}

void capability_hide_for_client(struct imap *s, struct span id_name)
{
    _cleanup_(str_free) struct str key = STR_INIT, value = STR_INIT;

    if (!s->masks || maps_empty(s->masks->by_id) || id_name.len == 0)
        return;
    str_set(&key, span_first(id_name, id_name.len < ID_NAME_MAX ? id_name.len : ID_NAME_MAX));
    for (size_t i = 0; i < key.len; i++)
        key.data[i] = char_lower(key.data[i]);
    hide_found(s, maps_get(s->masks->by_id, str_span(&key), &value), "imap_discard_capability_id_maps", &value);
}

static bool is_offered(const struct imap *s, size_t row)
{
    if (s->hidden & (uint64_t)1 << row)
        return false;
    if (row == COMPRESS)
        return s->front && !s->compressed;
    return row != APPENDLIMIT || s->params->message_size_limit > 0;
}

void capability_put(const struct imap *s, struct str *out)
{
    const char *separator = "";

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!is_offered(s, i))
            continue;
        str_addf(out, "%s%s", separator, names[i]);
        separator = " ";
        if (i == APPENDLIMIT)
            str_addf(out, "=%lld", (long long)s->params->message_size_limit);
    }
}
