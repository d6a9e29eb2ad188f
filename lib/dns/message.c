/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - questions and answers, RFC 1035 section 4
 *
 * Only the answer section is read, and of it the records of the type asked for and
 * the aliases before them: the resolver is trusted to have followed these. Names are expanded by c-ares,
 * which bounds compression pointers; names of hosts must then be of letters,
 * digits, hyphens, underscores and dots, since they go on into logs and commands.
 *
 * Runs in: smtpd and smtp; answers are hostile.
 */
#include <ares.h>
#include <errno.h>
#include <stdlib.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/rand.h"
#include "dns/internal.h"

enum { HEADER_LEN = 12, CLASS_IN = 1, TYPE_SOA = 6, TYPE_OPT = 41, NAME_MAX_LEN = 253, LABEL_MAX_LEN = 63 };
enum { FLAGS_QR = 0x8000, FLAGS_RD = 0x0100, FLAGS_AD = 0x0020, FLAGS_RCODE = 0x000f };
enum { RCODE_OK = 0, RCODE_NXDOMAIN = 3 };

/* ---- the question ---- */

/* put16 - at p; returns what follows */
static unsigned char *put16(unsigned char *p, unsigned n)
{
    p[0] = (unsigned char)(n >> 8);
    p[1] = (unsigned char)n;
    return p + 2;
}

/* put_name - labels with their lengths; NULL if name is none */
static unsigned char *put_name(unsigned char *p, struct span name)
{
    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > NAME_MAX_LEN || name.ptr[name.len - 1] == '.')
        return NULL;
    while (name.len > 0) {
        struct span label = span_cut(&name, '.');

        if (label.len == 0 || label.len > LABEL_MAX_LEN)
            return NULL;
        *p++ = (unsigned char)label.len;
        for (size_t i = 0; i < label.len; i++) {
            if (char_is(label.ptr[i], CHAR_CTL | CHAR_HIGH | CHAR_BLANK))
                return NULL;
            *p++ = (unsigned char)label.ptr[i];
        }
    }
    *p++ = 0;
    return p;
}

int dns_message_query(const char *name, enum dns_type type, uint16_t id,
                      unsigned char buf[static DNS_QUERY_MAX])
{
    static const unsigned counts[] = {1, 0, 0, 1}; /* one question, one additional record */
    unsigned char *p = put16(put16(buf, id), FLAGS_RD | FLAGS_AD);

    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        p = put16(p, counts[i]);
    p = put_name(p, span_of(name));
    if (!p)
        return -EINVAL;
    p = put16(put16(p, type), CLASS_IN);
    *p++ = 0; /* EDNS0: the root's name, type, size, extended flags, no options */
    p = put16(put16(p, TYPE_OPT), DNS_UDP_MAX);
    p = put16(put16(put16(p, 0), 0), 0);
    return (int)(p - buf);
}

/* ---- the answer ---- */

/* A message, and where we are in it. */
struct reader {
    const unsigned char *msg;
    size_t len, at;
};

/* get16 - -1 at the end of the message */
static int get16(struct reader *r)
{
    if (r->len - r->at < 2)
        return -1;
    int n = r->msg[r->at] << 8 | r->msg[r->at + 1];
    r->at += 2;
    return n;
}

static int64_t get32(struct reader *r)
{
    int high = get16(r), low = get16(r);

    return high < 0 || low < 0 ? -1 : (int64_t)high << 16 | low;
}

/* get_name - the expanded name, or NULL; free with ares_free_string */
static char *get_name(struct reader *r)
{
    char *name;
    long used;

    if (r->at >= r->len ||
        ares_expand_name(r->msg + r->at, r->msg, (int)r->len, &name, &used) != ARES_SUCCESS)
        return NULL;
    r->at += (size_t)used;
    return name;
}

static bool skip_name(struct reader *r)
{
    char *name = get_name(r);

    ares_free_string(name);
    return name != NULL;
}

/* is_host - fit to be asked for and logged; "" is the root */
static bool is_host(const char *name)
{
    for (const char *p = name; *p; p++)
        if (!char_is(*p, CHAR_ALNUM) && *p != '-' && *p != '_' && *p != '.')
            return false;
    return strlen(name) <= NAME_MAX_LEN;
}

/* Each read_...: the RDATA of one type, which ends at r->len; false if it is malformed. */

static bool read_addr(struct reader *r, struct dns_record *ret)
{
    size_t n = r->len - r->at;

    if (n != (ret->type == DNS_A ? sizeof(struct in_addr) : sizeof(struct in6_addr)))
        return false;
    if (ret->type == DNS_A) {
        ret->addr.in.sin_family = AF_INET;
        memcpy(&ret->addr.in.sin_addr, r->msg + r->at, n);
    } else {
        ret->addr.in6.sin6_family = AF_INET6;
        memcpy(&ret->addr.in6.sin6_addr, r->msg + r->at, n);
    }
    return true;
}

static bool read_host(struct reader *r, struct dns_record *ret)
{
    char *name = get_name(r);
    bool ok = name && r->at == r->len && is_host(name);

    if (ok)
        ret->name = mem_strdup(name);
    ares_free_string(name);
    return ok;
}

static bool read_mx(struct reader *r, struct dns_record *ret)
{
    int preference = get16(r);

    ret->preference = (uint16_t)preference;
    return preference >= 0 && read_host(r, ret);
}

/* character-strings, joined; RFC 1035 section 3.3.14, RFC 7208 section 3.3 */
static bool read_txt(struct reader *r, struct dns_record *ret)
{
    ret->data = mem_calloc(r->len - r->at + 1, 1);
    while (r->at < r->len) {
        size_t n = r->msg[r->at++];

        if (n > r->len - r->at)
            return false;
        memcpy(ret->data + ret->data_len, r->msg + r->at, n);
        ret->data_len += n;
        r->at += n;
    }
    return true;
}

/* usage, selector, matching type, data; RFC 6698 section 2.1 */
static bool read_tlsa(struct reader *r, struct dns_record *ret)
{
    ret->data_len = r->len - r->at;
    if (ret->data_len <= 3)
        return false;
    ret->data = mem_calloc(ret->data_len, 1);
    memcpy(ret->data, r->msg + r->at, ret->data_len);
    return true;
}

static const struct rdata {
    enum dns_type type;
    const char *name;
    bool (*read)(struct reader *r, struct dns_record *ret);
} rdatas[] = {
    {DNS_A,     "A",     read_addr},
    {DNS_AAAA,  "AAAA",  read_addr},
    {DNS_CNAME, "CNAME", read_host},
    {DNS_MX,    "MX",    read_mx  },
    {DNS_NS,    "NS",    read_host},
    {DNS_PTR,   "PTR",   read_host},
    {DNS_TXT,   "TXT",   read_txt },
    {DNS_TLSA,  "TLSA",  read_tlsa},
};

static const struct rdata *rdata_find(enum dns_type type)
{
    for (size_t i = 0; i < ARRAY_LEN(rdatas); i++)
        if (rdatas[i].type == type)
            return &rdatas[i];
    return NULL;
}

const char *dns_type_name(enum dns_type type)
{
    const struct rdata *rdata = rdata_find(type);

    return rdata ? rdata->name : "?";
}

static void record_done(struct dns_record *rec)
{
    free(rec->name);
    free(rec->data);
}

/* read_alias - the last one is the name of the records: resolvers write them in the order of the chain
 * (RFC 1034 section 4.3.1) */
static bool read_alias(struct reader *data, struct dns_answer *ret)
{
    struct dns_record rec = {.type = DNS_CNAME};

    if (!read_host(data, &rec))
        return false;
    free(ret->alias);
    ret->alias = rec.name;
    return true;
}

/* read_record - the next resource record; one of another type is skipped. False: malformed. */
static bool read_record(struct reader *r, const struct rdata *rdata, struct dns_answer *ret,
                        size_t *cap)
{
    if (!skip_name(r) || r->len - r->at < 10)
        return false;
    int type = get16(r), class = get16(r);
    uint32_t ttl = (uint32_t)get16(r) << 16;
    ttl |= (uint32_t)get16(r);
    size_t n = (size_t)get16(r);
    if (n > r->len - r->at)
        return false;
    struct reader data = {r->msg, r->at + n, r->at};
    r->at += n;
    if (type == DNS_CNAME && class == CLASS_IN && rdata->type != DNS_CNAME)
        return read_alias(&data, ret);
    if (type != (int)rdata->type || class != CLASS_IN || ret->len >= DNS_RECORDS_MAX)
        return true;
    struct dns_record rec = {.type = rdata->type, .ttl = ttl > INT32_MAX ? 0 : ttl};
    if (!rdata->read(&data, &rec)) {
        record_done(&rec);
        return false;
    }
    MEM_GROW(ret->records, ret->len, *cap);
    ret->records[ret->len++] = rec;
    return true;
}

/* read_sections - question and answer; false: malformed */
static bool read_sections(struct reader *r, const struct rdata *rdata, struct dns_answer *ret)
{
    size_t cap = 0;

    r->at = 4;
    int questions = get16(r), answers = get16(r);
    r->at = HEADER_LEN;
    for (int i = 0; i < questions; i++) {
        if (!skip_name(r) || r->len - r->at < 4)
            return false;
        r->at += 4;
    }
    for (int i = 0; i < answers; i++)
        if (!read_record(r, rdata, ret, &cap))
            return false;
    return true;
}

/* read_soa_ttl - of the next record, if it is an SOA: how long "there is none" holds; -1: malformed */
static int64_t read_soa_ttl(struct reader *r)
{
    if (!skip_name(r) || r->len - r->at < 10)
        return -1;
    int type = get16(r);
    r->at += 2;
    int64_t ttl = get32(r);
    size_t n = (size_t)get16(r);
    if (n > r->len - r->at)
        return -1;
    r->at += n;
    if (type != TYPE_SOA || n < 4)
        return 0;
    struct reader minimum = { r->msg, r->at, r->at - 4 };
    int64_t least = get32(&minimum);
    return ttl < least ? ttl : least;
}

/* negative_ttl - RFC 2308 section 5; the answer section holds aliases at most */
static uint32_t negative_ttl(const void *msg, size_t len)
{
    struct reader r = { msg, len, 4 };
    int questions = get16(&r), records = get16(&r) + get16(&r);
    int64_t ttl = 0;

    r.at = HEADER_LEN;
    for (int i = 0; i < questions; i++) {
        if (!skip_name(&r) || r.len - r.at < 4)
            return 0;
        r.at += 4;
    }
    for (int i = 0; i < records && ttl == 0; i++)
        ttl = read_soa_ttl(&r);
    return ttl > 0 && ttl <= INT32_MAX ? (uint32_t)ttl : 0;
}

static int by_preference(const void *a, const void *b)
{
    return ((const struct dns_record *)a)->preference - ((const struct dns_record *)b)->preference;
}

/* sort_mx - by preference, equal ones in random order; RFC 5321 section 5.1 */
static void sort_mx(struct dns_record *records, size_t len)
{
    for (size_t i = len; i > 1; i--) {
        size_t k = (size_t)rand_below(i);
        struct dns_record t = records[k];

        records[k] = records[i - 1];
        records[i - 1] = t;
    }
    if (len > 1)
        qsort(records, len, sizeof *records, by_preference);
}

void dns_message_parse(const void *msg, size_t len, enum dns_type type, struct dns_answer *ret)
{
    struct reader r = {msg, len, 2};
    const struct rdata *rdata = rdata_find(type);
    int flags = len >= HEADER_LEN && len <= UINT16_MAX ? get16(&r) : 0;

    *ret = (struct dns_answer){.status = DNS_INVALID};
    if (!(flags & FLAGS_QR) || !rdata)
        return;
    ret->authentic = flags & FLAGS_AD;
    if ((flags & FLAGS_RCODE) == RCODE_NXDOMAIN) {
        ret->status = DNS_NOT_FOUND;
    } else if ((flags & FLAGS_RCODE) != RCODE_OK) {
        ret->status = DNS_TEMPORARY;
    } else if (!read_sections(&r, rdata, ret)) {
        dns_answer_done(ret);
        ret->status = DNS_INVALID;
    } else {
        ret->status = ret->len > 0 ? DNS_OK : DNS_NO_DATA;
        if (type == DNS_MX)
            sort_mx(ret->records, ret->len);
    }
    if (ret->status == DNS_NOT_FOUND || ret->status == DNS_NO_DATA)
        ret->negative_ttl = negative_ttl(msg, len);
}

void dns_answer_done(struct dns_answer *a)
{
    for (size_t i = 0; i < a->len; i++)
        record_done(&a->records[i]);
    free(a->records);
    free(a->alias);
    *a = (struct dns_answer){.status = a->status};
}
