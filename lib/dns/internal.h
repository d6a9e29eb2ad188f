/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of lib/dns share: messages, and the resolver under them
 */
#ifndef DNS_INTERNAL_H
#define DNS_INTERNAL_H

#include "dns/dns.h"

enum {
    DNS_QUERY_MAX = 12 + 255 + 4 + 11, /* header, name, type and class, EDNS0 record */
    DNS_UDP_MAX = 1232,                /* offered by EDNS0: fits any path without fragments */
    DNS_RECORDS_MAX = 1000,            /* of one answer */
};

/*
 * Write the question for name (with or without final dot) and type: recursion
 * desired, AD set (RFC 6840 section 5.7), EDNS0 (RFC 6891). Returns its length,
 * or -EINVAL when the name has an empty or overlong label, is longer than 253
 * bytes, or is not printable ASCII.
 */
int dns_message_query(const char *name, enum dns_type type, uint16_t id,
                      unsigned char buf[static DNS_QUERY_MAX]);

/*
 * Read an answer: status, authentic bit, and the records of `type` in the answer
 * section, MX sorted. What is malformed makes the status DNS_INVALID, without
 * records. ret is overwritten; text stays empty.
 */
void dns_message_parse(const void *msg, size_t len, enum dns_type type, struct dns_answer *ret);

struct dns_query_state;

/* Send a question; its answer is collected by dns_resolver_wait, which must follow. */
struct dns_query_state *dns_resolver_start(const char *name, enum dns_type type);

/* Wait for the answer. 0 with *ret, whose status is DNS_TEMPORARY when the deadline passed; or
 * -ECANCELED, *ret holding no records. The state is gone afterwards. */
MAY_WAIT
int dns_resolver_wait(struct dns_query_state *q, uint64_t deadline, struct dns_answer *ret);

/* "MX", for the log */
const char *dns_type_name(enum dns_type type);

#endif
