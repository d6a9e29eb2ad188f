/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sni.c - certificates by the name that the client asks for (RFC 6066 section 3, tls_server_sni_maps)
 *
 * A table's value is the Base64 of PEM text, as "postmap -F" stores it, or a list of absolute names of PEM
 * files; the text of a PEM file cannot make a Base64 that begins with a slash. "host.example.com" is looked
 * up as it is, then as ".example.com" and ".com".
 *
 * What was parsed is kept for the next client, and known by a hash of the value, so that a changed
 * table counts at once.
 *
 * Runs in: smtpd and the login fronts; names are hostile, values the administrator's.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/chars.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/secret.h"
#include "table/build.h"
#include "table/lines.h"
#include "table/table.h"
#include "tls/internal.h"

enum { KEPT_MAX = 1000 };

/* A value of a table, parsed. */
struct entry {
    struct hash_node node;      /* key: what was found in the table */
    struct list link;           /* in sni.used, the latest first */
    char *key;
    char *files;                /* NULL: the value held the text itself */
    uint64_t value;             /* its hash */
    struct tls_chains chains;
};

struct sni {
    struct maps *maps;
    struct hash entries;
    struct list used;
    char **files;               /* that values name, as the tables were at start */
    size_t n_files, cap_files;
};

/* ---- values ---- */

int sni_value_parse(struct span value, struct str *ret_pem, bool *ret_files)
{
    value = span_trim(value);
    *ret_files = value.len > 0 && value.ptr[0] == '/';
    if (*ret_files)
        return 0;
    return value.len > 0 && str_add_unbase64(ret_pem, value) == 0 ? 0 : -EINVAL;
}

/* parse - the chains of a value; *ret_files the list of files they came from, or NULL */
static int parse(struct span value, struct tls_chains *ret, char **ret_files, struct str *err)
{
    _cleanup_(secret_free) struct str pem = STR_INIT;
    bool files;
    int r = sni_value_parse(value, &pem, &files);

    if (r == 0 && files) {
        _cleanup_free_ char *list = mem_dup_span(span_trim(value));

        r = tls_chains_read(list, ret, err);
        *ret_files = r == 0 ? TAKE_PTR(list) : NULL;
        return r;
    }
    *ret_files = NULL;
    if (r == 0)
        r = tls_chains_parse(str_span(&pem), ret);
    if (r < 0)
        str_add_str(err, "expected the Base64 of a key and its certificates (postmap -F), or absolute "
                         "names of PEM files");
    return r;
}

/* ---- kept entries ---- */

static void entry_free(struct sni *sni, struct entry *e)
{
    hash_remove(&sni->entries, &e->node);
    list_remove(&e->link);
    tls_chains_done(&e->chains);
    free(e->key);
    free(e->files);
    free(e);
}

static struct entry *entry_new(struct sni *sni, struct span key)
{
    struct entry *e = mem_new(struct entry);

    if (sni->entries.len >= KEPT_MAX)
        entry_free(sni, LIST_ENTRY(sni->used.prev, struct entry, link));
    e->key = mem_dup_span(key);
    e->node.key = span_of(e->key);
    hash_put(&sni->entries, &e->node);
    list_push_front(&sni->used, &e->link);
    return e;
}

static struct entry *entry_find(struct sni *sni, struct span key)
{
    return HASH_ENTRY(hash_get(&sni->entries, key), struct entry, node);
}

/* renew - the value has changed, or is new; a broken one leaves what there was. NULL: there is nothing */
static struct entry *renew(struct sni *sni, struct span key, struct span value)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct tls_chains chains;
    char *files;
    int r = parse(value, &chains, &files, &err); /* may wait */
    struct entry *e = entry_find(sni, key);

    if (r < 0) {
        tls_problem("certificate of " SPAN_FMT " in tls_server_sni_maps: %s%s", SPAN_ARG(key),
                    str_cstr(&err), e ? "; using the old one" : "");
        if (e)
            e->value = span_hash(value); /* said once */
        return e;
    }
    if (!e)
        e = entry_new(sni, key);
    tls_chains_done(&e->chains);
    free(e->files);
    e->chains = chains;
    e->files = files;
    e->value = span_hash(value);
    return e;
}

/* ---- looking a name up ---- */

/* get - name, then ".parent" for each parent; *key is what was found */
static int get(struct sni *sni, struct span name, struct span *key, struct str *value)
{
    int r = maps_get(sni->maps, name, value);

    *key = name;
    while (r == 0 && key->len > 0) {
        ptrdiff_t dot = span_chr(span_from(*key, 1), '.');

        if (dot < 0)
            return 0;
        *key = span_from(*key, (size_t)dot + 1);
        r = maps_get(sni->maps, *key, value);
    }
    return r;
}

/* is_host_name - what else a client may send is not looked up */
static bool is_host_name(struct span name)
{
    if (name.len == 0 || name.len > 255 || name.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!char_is(name.ptr[i], CHAR_ALPHA | CHAR_DIGIT) && !strchr("-._", name.ptr[i]))
            return false;
    return true;
}

int sni_find(struct sni *sni, struct span name, const struct tls_chains **ret)
{
    _cleanup_(secret_free) struct str value = STR_INIT;
    _cleanup_(str_free) struct str folded = STR_INIT;
    struct span key;

    if (!is_host_name(name))
        return 0;
    str_add_lower(&folded, name);
    int r = get(sni, str_span(&folded), &key, &value);

    if (r < 0)
        tls_problem("certificate of " SPAN_FMT ": lookup in tls_server_sni_maps failed", SPAN_ARG(name));
    if (r <= 0)
        return r;
    struct entry *e = entry_find(sni, key);

    if (!e || e->value != span_hash(str_span(&value)))
        e = renew(sni, key, str_span(&value));
    if (!e)
        return -EINVAL;
    list_remove(&e->link);
    list_push_front(&sni->used, &e->link);
    *ret = &e->chains;
    return 1;
}

/* ---- files ---- */

static void add_file(struct sni *sni, struct span path)
{
    for (size_t i = 0; i < sni->n_files; i++)
        if (span_eq_str(path, sni->files[i]))
            return;
    MEM_GROW(sni->files, sni->n_files, sni->cap_files);
    sni->files[sni->n_files++] = mem_dup_span(path);
}

static void add_files_of(struct span key, struct span value, void *arg)
{
    struct span file;

    (void)key;
    value = span_trim(value);
    if (value.len == 0 || value.ptr[0] != '/')
        return;
    while (span_word(&value, " \t\r\n,", &file))
        add_file(arg, file);
}

/* find_files - of the tables that can be listed; what patterns name must be readable to the server */
static void find_files(struct sni *sni, const char *list)
{
    struct span rest = span_of(list), word;

    while (lines_list_word(&rest, &word)) {
        _cleanup_(str_free) struct str ignored = STR_INIT;

        table_dump(word, add_files_of, sni, &ignored);
    }
}

void sni_foreach_file(const struct sni *sni, void (*fn)(const char *path, void *arg), void *arg)
{
    for (size_t i = 0; sni && i < sni->n_files; i++)
        fn(sni->files[i], arg);
}

/* The names of kept entries that came from files; entries may go while a file is waited for */
static char **keys_of_files(const struct sni *sni, size_t *ret_n)
{
    char **keys = mem_new_n(char *, sni->entries.len + 1);
    const struct entry *e;

    *ret_n = 0;
    LIST_FOREACH(e, &sni->used, struct entry, link)
        if (e->files)
            keys[(*ret_n)++] = mem_strdup(e->key);
    return keys;
}

static int reread_entry(struct sni *sni, const char *key, struct str *err)
{
    struct entry *e = entry_find(sni, span_of(key));
    struct tls_chains chains;

    if (!e || !e->files)
        return 0;
    _cleanup_free_ char *files = mem_strdup(e->files);
    int r = tls_chains_read(files, &chains, err);

    if (r < 0)
        return r;
    e = entry_find(sni, span_of(key));
    if (!e || !e->files || strcmp(e->files, files) != 0) {
        tls_chains_done(&chains);
        return 0;
    }
    tls_chains_done(&e->chains);
    e->chains = chains;
    return 0;
}

int sni_reread(struct sni *sni, struct str *err)
{
    size_t n = 0;
    int r = 0;
    char **keys = keys_of_files(sni, &n);

    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            r = reread_entry(sni, keys[i], err);
        free(keys[i]);
    }
    free(keys);
    return r;
}

/* ---- life ---- */

int sni_open(const char *maps, struct sni **ret, struct str *err)
{
    struct sni *sni = mem_new(struct sni);
    int r = maps_open(maps, &sni->maps, err);

    list_init(&sni->used);
    if (r < 0) {
        free(sni);
        return r;
    }
    find_files(sni, maps);
    *ret = sni;
    return 0;
}

void sni_free(struct sni *sni)
{
    if (!sni)
        return;
    while (!list_empty(&sni->used))
        entry_free(sni, LIST_ENTRY(sni->used.next, struct entry, link));
    hash_done(&sni->entries);
    maps_free(sni->maps);
    for (size_t i = 0; i < sni->n_files; i++)
        free(sni->files[i]);
    free(sni->files);
    free(sni);
}
