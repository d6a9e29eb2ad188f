/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_id.c - a name for the conversation that a message belongs to (THREADID, RFC 8474 section 5.2)
 *
 * A name must never change once it was told. So it is not taken from a tree, which grows together as messages come in, but
 * from what each reply says of the beginning: RFC 5322 section 3.6.4 has References grow at its end.
 * A reply to a reply that has In-Reply-To alone begins a thread of its own.
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include "thread_id.h"

#include <nettle/sha2.h>

#include "kept.h"
#include "mail/mime.h"
#include "thread_tree.h"

enum { DIGEST_BYTES = 16 };

/* In the order in which they count */
static const char *const fields[] = { "References", "In-Reply-To", "Message-ID" };

/* The first id of a field; false: there is none. */
static bool first_id(struct span header, const char *field, struct str *ret)
{
    struct span value, ids, id;

    if (!mime_field_find(header, field, &value))
        return false;
    thread_ids(value, SIZE_MAX, ret);
    ids = str_span(ret);
    if (!thread_next_id(&ids, &id))
        return false;
    str_truncate(ret, id.len);
    return true;
}

void thread_id_add(struct span header, struct str *ret)
{
    _cleanup_(str_free) struct str root = STR_INIT;
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx h;
    bool found = false;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && !found; i++)
        found = first_id(header, fields[i], &root);
    if (!found)
        kept_header(header, &root);
    str_add_char(ret, 'T');
    sha256_init(&h);
    sha256_update(&h, root.len, (const uint8_t *)root.data);
    sha256_digest(&h, sizeof digest, digest);
    str_add_hex(ret, span_make(digest, DIGEST_BYTES));
}
