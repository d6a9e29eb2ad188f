/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cidr.c - networks, and cidr: tables of them, as cidr_table(5) describes
 *
 * Runs in: every program that reads tables; keys are hostile.
 */
#include "table/cidr.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "table/rules.h"

bool cidr_parse_address(struct span text, struct cidr *ret)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char name[INET6_ADDRSTRLEN];
    struct cidr c = {0};

    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = span_make(text.ptr + 1, text.len - 2);
    if (text.len == 0 || text.len >= sizeof name || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(name, text.ptr, text.len);
    name[text.len] = '\0';
    if (inet_pton(AF_INET, name, c.bytes) == 1) {
        c.size = 4;
    } else if (inet_pton(AF_INET6, name, c.bytes) == 1) {
        c.size = 16;
        if (memcmp(c.bytes, mapped, sizeof mapped) == 0) {
            memmove(c.bytes, c.bytes + sizeof mapped, 4);
            memset(c.bytes + 4, 0, sizeof mapped);
            c.size = 4;
        }
    } else {
        return false;
    }
    c.bits = (uint8_t)(8 * c.size);
    *ret = c;
    return true;
}

/* Set the bits behind the prefix to zero; true when one of them was set. */
static bool clear_host_part(struct cidr *c)
{
    bool was_set = false;

    for (size_t i = 0; i < c->size; i++) {
        unsigned keep = c->bits <= 8 * i ? 0 : c->bits - 8 * (unsigned)i;
        uint8_t mask = keep >= 8 ? 0xff : (uint8_t)(0xff << (8 - keep));

        was_set |= (c->bytes[i] & ~mask) != 0;
        c->bytes[i] &= mask;
    }
    return was_set;
}

int cidr_parse(struct span text, struct cidr *ret, struct str *err)
{
    char shown[INET6_ADDRSTRLEN] = "";
    struct span prefix = text;
    struct span address = span_cut(&prefix, '/');
    uint32_t bits;
    struct cidr c;

    if (!cidr_parse_address(address, &c)) {
        str_addf(err, "bad network address \"" SPAN_FMT "\"", SPAN_ARG(address));
        return -EINVAL;
    }
    if (address.len == text.len) {
        *ret = c;
        return 0;
    }
    bool mapped = c.size == 4 && span_chr(address, ':') >= 0;
    unsigned least = mapped ? 96 : 0; /* "::ffff:192.0.2.0/120" is 192.0.2.0/24 */

    if (span_u32(prefix, least + 8u * c.size, &bits) < 0 || bits < least) {
        str_addf(err, "bad prefix length in \"" SPAN_FMT "\": expected %u to %u", SPAN_ARG(text),
                 least, least + 8u * c.size);
        return -EINVAL;
    }
    bits -= least;
    c.bits = (uint8_t)bits;
    if (clear_host_part(&c)) {
        inet_ntop(c.size == 4 ? AF_INET : AF_INET6, c.bytes, shown, sizeof shown);
        str_addf(err,
                 "non-null host address bits in \"" SPAN_FMT
                 "\", perhaps you should use \"%s/%u\" instead",
                 SPAN_ARG(text), shown, bits);
        return -EINVAL;
    }
    *ret = c;
    return 0;
}

bool cidr_has(const struct cidr *network, const struct cidr *address)
{
    size_t whole = network->bits / 8, rest = network->bits % 8;

    if (network->size != address->size || memcmp(network->bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

/* ---- the table type ---- */

static int compile(struct span *line, void **ret, size_t *ret_groups, struct str *err)
{
    struct cidr c;
    size_t n = 0;

    while (n < line->len && !char_is(line->ptr[n], CHAR_BLANK))
        n++;
    int r = cidr_parse(span_first(*line, n), &c, err);
    if (r < 0)
        return r;
    struct cidr *copy = mem_new(struct cidr);

    *copy = c;
    *line = span_from(*line, n);
    *ret_groups = 0;
    *ret = copy;
    return 0;
}

static bool prepare(struct span key, void *scratch)
{
    return cidr_parse_address(key, scratch);
}

static int match(const void *pattern, struct span key, const void *scratch, struct rule_match *m)
{
    (void)key, (void)m;
    return cidr_has(pattern, scratch);
}

_Static_assert(sizeof(struct cidr) <= RULE_SCRATCH_MAX,
               "the parsed key is kept in the scratch space");

const struct rule_kind rule_kind_cidr = {
    .compile = compile,
    .release = free,
    .prepare = prepare,
    .match = match,
};

int cidr_table_open(const struct table_opening *o, void **ret)
{
    return rules_open_file(&rule_kind_cidr, o, ret);
}
