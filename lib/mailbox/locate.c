/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locate.c - where a user's mail is: one function for delivery and retrieval alike
 *
 * Virtual mailboxes as virtual(8) of Postfix finds them: user+ext@domain, user@domain, @domain in
 * virtual_mailbox_maps, the owner by the same keys in virtual_uid_maps and virtual_gid_maps. System
 * users by getpwnam. Only Maildirs: a path that would be an mbox file is refused, as is
 * one that leads out of virtual_mailbox_base.
 *
 * Runs in: local, virtual, auth. Addresses are anybody's; tables are the administrator's.
 */
#include "mailbox/locate.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>

#include "base/mem.h"
#include "mail/address.h"

struct locator {
    char *base, *delimiter, *home_mailbox;
    uid_t minimum_uid;
    struct maps *mailboxes, *uids, *gids;
    struct match_list *local_domains;
};

void location_done(struct location *l)
{
    free(l->user);
    free(l->home);
    free(l->maildir);
    memset(l, 0, sizeof *l);
}

/* ---- opening ---- */

int locator_open(const struct conf *c, const struct params *p, struct locator **ret, struct str *err)
{
    _cleanup_(locator_free_ptr_) struct locator *l = mem_new(struct locator);

    (void)c; /* all it needs are typed parameters */
    l->base = mem_strdup(p->virtual_mailbox_base);
    l->delimiter = mem_strdup(p->recipient_delimiter);
    l->home_mailbox = mem_strdup(p->home_mailbox);
    l->minimum_uid = (uid_t)p->virtual_minimum_uid;
    const struct maps_setting maps[] = {
        { "virtual_mailbox_maps", p->virtual_mailbox_maps, &l->mailboxes },
        { "virtual_uid_maps", p->virtual_uid_maps, &l->uids },
        { "virtual_gid_maps", p->virtual_gid_maps, &l->gids },
    };
    int r = maps_open_settings(maps, ARRAY_LEN(maps), err);
    if (r == 0)
        r = match_list_open_named("mydestination", p->mydestination, MATCH_DOMAIN, &l->local_domains, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

void locator_free(struct locator *l)
{
    if (!l)
        return;
    maps_free(l->mailboxes);
    maps_free(l->uids);
    maps_free(l->gids);
    match_list_free(l->local_domains);
    free(l->base);
    free(l->delimiter);
    free(l->home_mailbox);
    free(l);
}

/* ---- virtual mailboxes ---- */

/* Is there a part ".." in a path? */
static bool leads_out(struct span path)
{
    while (path.len > 0)
        if (span_eq_str(span_cut(&path, '/'), ".."))
            return true;
    return false;
}

/* The number that a table has for an address; at least `least` */
static int owner_id(struct locator *l, struct maps *maps, const char *parameter, struct span address, uint32_t least,
                    uint32_t *ret, struct str *err)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    uint32_t id;
    int r = maps_get_address(maps, address, l->delimiter, MAPS_FULL | MAPS_AT_DOMAIN, &value, NULL);

    if (r < 0) {
        str_addf(err, "%s: lookup error", parameter);
        return r;
    }
    if (r == 0 || span_u32(span_trim(str_span(&value)), UINT32_MAX - 1, &id) < 0) {
        str_addf(err, r == 0 ? "no entry in %s" : "bad entry in %s: expected a number", parameter);
        return -EINVAL;
    }
    if (id < least) {
        str_addf(err, "id %u in %s is below the minimum %u", id, parameter, least);
        return -EINVAL;
    }
    *ret = id;
    return 0;
}

static int virtual_path(struct locator *l, struct span value, struct str *path, struct str *err)
{
    value = span_trim(value);
    if (value.len == 0 || value.ptr[value.len - 1] != '/') {
        str_add_str(err, "the path in virtual_mailbox_maps is no Maildir: it must end in '/'");
        return -EINVAL;
    }
    while (value.len > 0 && value.ptr[value.len - 1] == '/')
        value.len--;
    if (leads_out(value) || (l->base[0] != '/')) {
        str_add_str(err, l->base[0] != '/' ? "virtual_mailbox_base is no absolute path"
                                           : "the path in virtual_mailbox_maps has a part \"..\"");
        return -EINVAL;
    }
    str_add_str(path, l->base);
    str_add_char(path, '/');
    str_add(path, value);
    return 0;
}

/* user+ext@Domain without the extension that was cut off by the lookup, in lower case */
static char *canonical_user(struct span address, struct span ext)
{
    _cleanup_(str_free) struct str user = STR_INIT;
    struct span local = address_local(address);

    if (ext.len > 0 && local.len > ext.len)
        local = span_first(local, local.len - ext.len);
    str_add_lower(&user, local);
    str_add_char(&user, '@');
    str_add_lower(&user, address_domain(address));
    return str_take(&user);
}

int locate_virtual(struct locator *l, struct span address, struct location *ret, struct str *err)
{
    _cleanup_(str_free) struct str value = STR_INIT, ext = STR_INIT, path = STR_INIT;
    uint32_t uid = 0, gid = 0;
    int r = maps_get_address(l->mailboxes, address, l->delimiter, MAPS_FULL | MAPS_AT_DOMAIN, &value, &ext);

    if (r < 0)
        str_add_str(err, "virtual_mailbox_maps: lookup error");
    if (r <= 0)
        return r;
    r = virtual_path(l, str_span(&value), &path, err);
    if (r == 0)
        r = owner_id(l, l->uids, "virtual_uid_maps", address, l->minimum_uid, &uid, err);
    if (r == 0)
        r = owner_id(l, l->gids, "virtual_gid_maps", address, 1, &gid, err);
    if (r < 0)
        return r;
    *ret = (struct location){
        .uid = uid,
        .gid = gid,
        .user = canonical_user(address, str_span(&ext)),
        .maildir = str_take(&path),
    };
    return 1;
}

/* ---- system users ---- */

struct passwd_query {
    const char *name;
    uid_t uid;
    gid_t gid;
    char *home;
};

/* On a helper thread: NSS may ask a directory server. 1 found, 0 not, -errno */
static int find_passwd(void *arg)
{
    struct passwd_query *q = arg;
    size_t size = 16384;
    _cleanup_free_ char *buf = mem_calloc(size, 1);
    struct passwd pw, *found = NULL;
    int error = getpwnam_r(q->name, &pw, buf, size, &found);

    if (!found)
        return error == 0 || error == ENOENT || error == ESRCH ? 0 : -error;
    q->uid = pw.pw_uid;
    q->gid = pw.pw_gid;
    q->home = mem_strdup(pw.pw_dir);
    return 1;
}

static int find_user(struct locator *l, struct span user, struct passwd_query *q, struct str *name)
{
    struct span base, ext;
    int r;

    str_add_lower(name, user);
    q->name = str_cstr(name);
    r = offload(find_passwd, q);
    if (r != 0 || l->delimiter[0] == '\0')
        return r;
    address_split_extension(user, l->delimiter, &base, &ext);
    if (ext.len == 0 || base.len == 0)
        return 0;
    str_reset(name);
    str_add_lower(name, base);
    q->name = str_cstr(name);
    return offload(find_passwd, q);
}

int locate_system(struct locator *l, struct span user, struct location *ret, struct str *err)
{
    _cleanup_(str_free) struct str name = STR_INIT, path = STR_INIT;
    struct passwd_query q = { .name = NULL };
    struct span relative = span_of(l->home_mailbox);
    int r = 0;

    /* No name that a password file could hold: it has no such field. */
    if (user.len > 0 && user.len < 256 && span_chr(user, ':') < 0 && span_chr(user, '\0') < 0)
        r = find_user(l, user, &q, &name);
    if (r < 0)
        str_addf(err, "user lookup error: %s", strerror(-r));
    if (r <= 0)
        return r;
    _cleanup_free_ char *home = q.home;
    if (relative.len == 0 || relative.ptr[relative.len - 1] != '/') {
        str_add_str(err, "home_mailbox is no Maildir: it must end in '/'");
        return -EINVAL;
    }
    if (home[0] != '/' || q.uid == 0) {
        str_addf(err, q.uid == 0 ? "mail for %s is not delivered as root: it needs an alias" : "%s has no home directory",
                 name.data);
        return -EINVAL;
    }
    str_addf(&path, "%s/" SPAN_FMT, home, SPAN_ARG(span_first(relative, relative.len - 1)));
    *ret = (struct location){ .uid = q.uid, .gid = q.gid, .user = str_take(&name), .maildir = str_take(&path) };
    ret->home = TAKE_PTR(home);
    return 1;
}

int locate(struct locator *l, struct span address_or_user, struct location *ret, struct str *err)
{
    struct span domain = address_domain(address_or_user);
    int r = domain.len == 0 ? 1 : match_list_has(l->local_domains, domain);

    if (r < 0)
        str_add_str(err, "mydestination: lookup error");
    if (r < 0)
        return r;
    return r ? locate_system(l, address_local(address_or_user), ret, err)
             : locate_virtual(l, address_or_user, ret, err);
}
