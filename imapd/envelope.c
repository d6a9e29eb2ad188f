/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.c - ENVELOPE (RFC 3501 section 7.4.2)
 *
 * Clients differ in what they make of NIL and of "": a field that is missing is NIL,
 * one that is there but empty is "". Encoded words stay encoded. Of a field that
 * stands twice the first counts.
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "envelope.h"

#include "base/mem.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "reply.h"

enum field { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, FIELDS };

static const char *const names[FIELDS] = {
    [DATE] = "Date",         [SUBJECT] = "Subject", [FROM] = "From", [SENDER] = "Sender",
    [REPLY_TO] = "Reply-To", [TO] = "To",           [CC] = "Cc",     [BCC] = "Bcc",
    [IN_REPLY_TO] = "In-Reply-To", [MESSAGE_ID] = "Message-Id",
};

static void find_fields(struct span header, struct span values[static FIELDS])
{
    struct header_field f;
    size_t missing = FIELDS;

    for (size_t i = 0; i < FIELDS; i++)
        values[i] = SPAN_NULL;
    while (missing > 0 && mime_field_next(&header, &f)) {
        for (size_t i = 0; i < FIELDS; i++) {
            if (!values[i].ptr && span_eq_nocase_str(f.name, names[i])) {
                values[i] = f.value;
                missing--;
                break;
            }
        }
    }
}

/* An unstructured field, unfolded and without the blanks around it. */
static void put_text(struct str *out, struct span value)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (!value.ptr) {
        put_nstring(out, SPAN_NULL);
        return;
    }
    header_unfold(value, &text);
    str_cstr(&text);
    put_string(out, span_trim(str_span(&text)));
}

/* A display name as it stands in a quoted string or comment, its escapes undone; NIL when empty. */
static void put_display(struct str *out, struct span raw)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    if (raw.len == 0 || span_chr(raw, '\\') < 0) {
        put_nstring(out, raw.len > 0 ? raw : SPAN_NULL);
        return;
    }
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\' && i + 1 < raw.len)
            i++;
        str_add_char(&name, raw.ptr[i]);
    }
    put_nstring(out, str_span(&name));
}

static bool is_group(const struct header_address *a)
{
    return a->kind == HDR_ADDR_GROUP_START || a->kind == HDR_ADDR_GROUP_END;
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")". Groups: mailbox is the name and host NIL at
 * their start, both are NIL at their end. */
static void put_address(struct str *out, const struct header_address *a)
{
    static const struct span empty = { "", 0 };
    struct span mailbox = SPAN_NULL, host = SPAN_NULL;

    switch (a->kind) {
    case HDR_ADDR_GROUP_START:
        mailbox = a->display.len > 0 ? a->display : empty;
        break;
    case HDR_ADDR_GROUP_END:
        break;
    case HDR_ADDR_NAME:
    case HDR_ADDR_MAILBOX:
        /* NIL in mailbox or host means a group, so an address without a part has "" there. */
        mailbox = a->mailbox.len > 0 ? str_span(&a->mailbox) : empty;
        host = a->host.len > 0 ? str_span(&a->host) : empty;
        break;
    }
    str_add_char(out, '(');
    put_display(out, is_group(a) ? SPAN_NULL : a->display);
    str_add_char(out, ' ');
    put_nstring(out, a->route.len > 0 ? a->route : SPAN_NULL);
    str_add_char(out, ' ');
    put_nstring(out, mailbox);
    str_add_char(out, ' ');
    put_nstring(out, host);
    str_add_char(out, ')');
}

/* "(" 1*address ")" / nil; false, and nothing written, when there is no address. */
static bool put_addresses(struct str *out, struct span value, size_t max)
{
    struct header_address_list list;
    bool any;

    if (value.len == 0)
        return false;
    header_addresses_parse(value, max, &list);
    any = list.len > 0;
    if (any) {
        str_add_char(out, '(');
        for (size_t i = 0; i < list.len; i++)
            put_address(out, &list.items[i]);
        str_add_char(out, ')');
    }
    header_addresses_done(&list);
    return any;
}

/* sender and reply-to default to from. */
static void put_address_field(struct str *out, const struct span values[static FIELDS],
                              enum field f, size_t max)
{
    str_add_char(out, ' ');
    if (put_addresses(out, values[f], max))
        return;
    if ((f == SENDER || f == REPLY_TO) && put_addresses(out, values[FROM], max))
        return;
    str_add_str(out, "NIL");
}

void put_envelope(struct str *out, struct span header, size_t max_addresses)
{
    struct span values[FIELDS];

    find_fields(header, values);
    str_add_char(out, '(');
    put_text(out, values[DATE]);
    str_add_char(out, ' ');
    put_text(out, values[SUBJECT]);
    for (enum field f = FROM; f <= BCC; f++)
        put_address_field(out, values, f, max_addresses);
    str_add_char(out, ' ');
    put_text(out, values[IN_REPLY_TO]);
    str_add_char(out, ' ');
    put_text(out, values[MESSAGE_ID]);
    str_add_char(out, ')');
}
