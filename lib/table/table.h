/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - lookup tables "type:name": a key gives a text
 *
 * Types: hash btree (Berkeley DB) lmdb texthash inline static regexp pcre cidr
 * unix (passwd.byname, group.byname) passwd-file proxy (through proxymap) fail; one row each in the
 * table of types. Keys are folded to lower case by the types that Postfix folds. A table's file is
 * looked at again when it changes on disk (checked at most once a second); a broken
 * new version is refused and the old one stays in use (table_on_problem()).
 * Tables of one name are opened once per process and counted.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include <stdbool.h>

#include "base/own.h"
#include "base/str.h"
#include "conf/conf.h"
#include "io/fiber.h"

struct table;

/* Open "type:name". 0; -EINVAL (unknown type, syntax error in a file: *err names file, line and the
 * accepted form), -ENOENT and others with *err. */
int table_open(struct span type_name, struct table **ret, struct str *err);
void table_free(struct table *t);
DEFINE_CLEANUP(struct table, table_free);
const char *table_name(const struct table *t);              /* "type:name" */

/* Longest key 4096 bytes (a longer one is not found), longest value 1 MiB.
 * 1: found, *value set (appended after a reset); 0: not there; negative: temporary failure. */
MAY_WAIT int table_get(struct table *t, struct span key, struct str *value);

/* The same without folding the key to lower case (postmap -f). */
MAY_WAIT int table_get_exact(struct table *t, struct span key, struct str *value);

/* regexp, pcre, cidr match the whole key: callers must not try parts of an address or parent
 * domains. */
bool table_is_pattern(const struct table *t);

/*
 * What is told to the administrator while tables are in use, one line each time: a changed file
 * that cannot be read (once for each version of it; the old one stays in use), a duplicate key in a
 * text file. Set once per process, before tables are opened; without it nobody is told.
 */
void table_on_problem(void (*fn)(const char *text));

/*
 * Is each open table in use as its file is now? If not, this process may be the last that knows the old
 * version of a table whose new one is broken.
 */
MAY_WAIT bool table_all_current(void);

/* Every file that open tables of this process may read again (for the sandbox). */
void table_foreach_path(void (*fn)(const char *path, void *arg), void *arg);

/* Types this build offers, NULL-terminated, sorted (postconf -m). */
const char *const *table_types(void);

/* ---- lists of tables, as "virtual_alias_maps" ---- */

struct maps;

/* Open every table in a list separated by blanks or commas; "" gives an empty list. Below, NULL is an empty one, too. */
int maps_open(const char *list, struct maps **ret, struct str *err);
void maps_free(struct maps *m);
DEFINE_CLEANUP(struct maps, maps_free);
/* The path behind the first "type:" in a list of tables, to be freed; NULL if none. */
char *maps_path(const char *list, const char *type);
bool maps_empty(const struct maps *m);

/* The same for the value of a parameter, with an *err that begins with its name; of an empty one *ret becomes NULL. */
int maps_open_named(const char *parameter, const char *list, struct maps **ret, struct str *err);
/* Several, or the first that cannot be opened. */
struct maps_setting {
    const char *name, *list;
    struct maps **ret;
};
int maps_open_settings(const struct maps_setting *settings, size_t n, struct str *err);

/* The first table that has the key; as table_get. */
MAY_WAIT int maps_get(struct maps *m, struct span key, struct str *value);

/*
 * Search for an address as the Postfix manual pages describe (virtual(5), transport(5)):
 * with `delimiters` (recipient_delimiter, may be "") and the wanted forms in `forms`, in this
 * order. *ext gets the extension that was cut off, with its delimiter ("+list"; "" if none); may be
 * NULL. Local parts that need quotes are looked up quoted first, then bare. Tables for which
 * table_is_pattern() holds are asked for the whole address only.
 */
enum maps_forms {
    MAPS_FULL = 1 << 0, /* user+ext@domain, user@domain */
    MAPS_LOCALPART = 1 << 1, /* user+ext, user: to be given when the domain is a local one */
    MAPS_AT_DOMAIN = 1 << 2, /* @domain */
    MAPS_DOMAIN = 1 << 3,    /* domain, then parents ".parent" */
};
MAY_WAIT int maps_get_address(struct maps *m, struct span address, const char *delimiters,
                              unsigned forms, struct str *value, struct str *ext);

/* ---- match lists, as "mydestination" and "mynetworks" ---- */

struct match_list;

enum match_kind { MATCH_DOMAIN, MATCH_DOMAIN_PARENTS, MATCH_HOST_ADDR, MATCH_ADDRESS };

/*
 * Items: text, "!item", "/file/name" with more items, "type:table". DOMAIN compares names;
 * DOMAIN_PARENTS also matches subdomains (relay_domains with parent_domain_matches_subdomains);
 * HOST_ADDR takes host names, IP addresses and networks "192.0.2.0/24", "[2001:db8::]/32".
 */
int match_list_open(const char *list, enum match_kind kind, struct match_list **ret,
                    struct str *err);
void match_list_free(struct match_list *l);
DEFINE_CLEANUP(struct match_list, match_list_free);

/* The same for parameters, as maps_open_named() and maps_open_settings(). */
int match_list_open_named(const char *parameter, const char *list, enum match_kind kind, struct match_list **ret,
                          struct str *err);
struct match_setting {
    const char *name, *list;
    enum match_kind kind;
    struct match_list **ret;
};
int match_list_open_settings(const struct match_setting *settings, size_t n, struct str *err);

/* 1 match, 0 none, negative: temporary failure of a table. */
MAY_WAIT int match_list_has(struct match_list *l, struct span text);
/* HOST_ADDR: name may be "unknown". */
MAY_WAIT int match_list_has_client(struct match_list *l, struct span name, struct span addr);

#endif
