/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - the setting smtpd_milters: filters and what is special about them
 *
 *     inet:localhost:8891  { unix:/run/x.sock, default_action=accept, command_timeout=5s }
 *
 * Runs in: smtpd, cleanup; on the administrator's text. Logs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>

#include "base/mem.h"
#include "milter/milter.h"
#include "table/lines.h"

static void settings_done(struct milter_settings *s)
{
    if (s->path_fd >= 0)
        close(s->path_fd);
    free(s->name);
    free(s->path);
}

void milter_list_done(struct milter_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        settings_done(&l->items[i]);
    free(l->items);
    *l = (struct milter_list){ 0 };
}

bool milter_list_has_inet(const struct milter_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        if (!l->items[i].path)
            return true;
    return false;
}

/* ---- the endpoint ---- */

static int refuse(struct str *err, const struct milter_settings *s, const char *why)
{
    str_addf(err, "milter %s: %s", s->name, why);
    return -EINVAL;
}

/* "host:port" or "port@host", which libmilter's users know */
static int parse_inet(struct milter_settings *s, struct span text, enum milter_resolve how, struct str *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
    ptrdiff_t at = span_chr(text, '@'), colon = span_rchr(text, ':');
    struct span host = at >= 0 ? span_from(text, (size_t)at + 1) : span_first(text, colon < 0 ? 0 : (size_t)colon);
    _cleanup_free_ char *port =
        mem_dup_span(at >= 0 ? span_first(text, (size_t)at) : span_from(text, (size_t)(colon + 1)));

    if (span_take(&host, '['))
        host = span_cut(&host, ']');
    if (how == MILTER_BY_ADDRESS)
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    /* Numbers at once where that is enough: later no file of the resolver can be read. */
    if (span_eq_nocase_str(host, "localhost") || host.len == 0)
        host = span_of("127.0.0.1");

    _cleanup_free_ char *name = mem_dup_span(host);
    int r = getaddrinfo(name, port, &hints, &found);

    if (r != 0)
        return refuse(err, s, gai_strerror(r));
    memcpy(&s->addr, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

/* A relative path is below queue_directory */
static int parse_unix(struct milter_settings *s, const struct params *params, struct span path, struct str *err)
{
    _cleanup_(str_free) struct str full = STR_INIT;

    if (path.len == 0)
        return refuse(err, s, "the path is missing");
    if (path.ptr[0] != '/')
        str_addf(&full, "%s/", params->queue_directory);
    str_add(&full, path);
    s->path = str_take(&full);
    s->path_fd = open(s->path, O_PATH | O_CLOEXEC);
    return 0;
}

static int parse_endpoint(struct milter_settings *s, const struct params *params, enum milter_resolve how,
                          struct str *err)
{
    struct span text = span_of(s->name);

    if (span_take_nocase(&text, "inet:") || span_take_nocase(&text, "inet6:"))
        return parse_inet(s, text, how, err);
    if (span_take_nocase(&text, "unix:") || span_take_nocase(&text, "local:"))
        return parse_unix(s, params, text, err);
    return refuse(err, s, "inet:host:port or unix:path is wanted");
}

/* ---- settings ---- */

static int parse_protocol(struct span text, uint32_t *ret)
{
    struct milter_options unused;
    uint32_t n;

    if (span_u32(text, 6, &n) < 0 || !milter_options_of_version(n, &unused))
        return -EINVAL;
    *ret = n;
    return 0;
}

static int parse_default(struct span text, enum milter_default *ret)
{
    static const char *const names[] = {
        [MILTER_DEFAULT_ACCEPT] = "accept",     [MILTER_DEFAULT_QUARANTINE] = "quarantine",
        [MILTER_DEFAULT_REJECT] = "reject",     [MILTER_DEFAULT_SHUTDOWN] = "shutdown",
        [MILTER_DEFAULT_TEMPFAIL] = "tempfail",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq_nocase_str(text, names[i])) {
            *ret = (enum milter_default)i;
            return 0;
        }
    return -EINVAL;
}

static int set_option(struct milter_settings *s, struct span name, struct span value)
{
    const struct {
        const char *name;
        int64_t *time;
    } times[] = {
        { "connect_timeout", &s->connect_s },
        { "command_timeout", &s->command_s },
        { "content_timeout", &s->content_s },
    };

    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (span_eq_str(name, times[i].name))
            return conf_parse_time(value, 's', times[i].time);
    if (span_eq_str(name, "protocol"))
        return parse_protocol(value, &s->protocol);
    if (span_eq_str(name, "default_action"))
        return parse_default(value, &s->default_action);
    return -ENOENT;
}

/* "{ ... }" without its braces */
static struct span strip_braces(struct span s)
{
    if (s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}')
        s = span_make(s.ptr + 1, s.len - 2);
    return span_trim(s);
}

static int parse_options(struct milter_settings *s, struct span in, struct str *err)
{
    struct span word;

    while (lines_list_word(&in, &word)) {
        struct span value = strip_braces(word); /* "{ name = value }" */
        struct span name = span_trim(span_cut(&value, '='));

        if (set_option(s, name, span_trim(value)) < 0) {
            str_addf(err, "milter %s: \"" SPAN_FMT "\" is no setting of it", s->name, SPAN_ARG(word));
            return -EINVAL;
        }
    }
    return 0;
}

/* One element of the list: an endpoint, or in braces an endpoint with settings */
static int parse_one(struct milter_list *l, struct span text, enum milter_resolve how, struct str *err)
{
    struct milter_settings s = {
        .path_fd = -1,
        .connect_s = l->params->milter_connect_timeout,
        .command_s = l->params->milter_command_timeout,
        .content_s = l->params->milter_content_timeout,
        .protocol = (uint32_t)l->params->milter_protocol,
    };
    struct span in = strip_braces(text), word = SPAN_NULL;

    lines_list_word(&in, &word);
    s.name = mem_dup_span(word);
    parse_default(span_of(l->params->milter_default_action), &s.default_action); /* one of its words */
    int r = parse_endpoint(&s, l->params, how, err);

    if (r == 0)
        r = parse_options(&s, in, err);
    if (r < 0) {
        settings_done(&s);
        return r;
    }
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = s;
    return 0;
}

int milter_list_parse(const struct params *params, const char *text, enum milter_resolve how,
                      struct milter_list *ret, struct str *err)
{
    struct milter_list l = { .params = params };
    struct span in = span_of(text), word;
    int r = 0;

    while (r == 0 && lines_list_word(&in, &word)) {
        if (l.len < SUBMIT_MILTERS_MAX) {
            r = parse_one(&l, word, how, err);
        } else {
            str_addf(err, "more than %d milters", SUBMIT_MILTERS_MAX);
            r = -EINVAL;
        }
    }
    if (r < 0)
        milter_list_done(&l);
    else
        *ret = l;
    return r;
}
