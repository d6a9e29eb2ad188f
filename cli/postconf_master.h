/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postconf_master.h - operands of postconf that name parts of master.cf
 */
#ifndef CLI_POSTCONF_MASTER_H
#define CLI_POSTCONF_MASTER_H

#include "cli/postconf.h"
#include "conf/master_text.h"

/* "service/type/part=value"; an empty or "*" part means all. Points into the operand. */
struct master_request {
    struct span service, type;
    struct span part;               /* field or parameter; empty for -M */
    struct span value;              /* with -e */
};

/* 0, or -EINVAL with *err. */
int master_request_parse(const struct postconf *p, const char *operand, struct master_request *ret,
                         struct str *err);
bool master_request_matches(const struct master_request *r, const struct master_entry *e);

/* enum master_field, or MASTER_FIELDS when there is no such field. */
size_t master_field_index(struct span name);

/* The entries of DIR/master.cf. 0, -errno with *err. */
int master_text_load(const char *dir, struct master_text *ret, struct str *err);

/* The names behind -o, sorted, each once: an array that ends in NULL; free it and its elements. */
char **master_option_names(const struct master_entry *e);

#endif
