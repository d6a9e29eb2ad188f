/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prescreen.c - tests before the greeting
 *
 * Until a client has passed, it has this fiber and its socket: no name is looked up, nothing is allocated by
 * the stream, and the only call to another process asks anvil whether the client is known. What a client says too early stays
 * in the socket; a session that goes on after it reads it as usual.
 *
 * Runs in: smtpd (input is hostile). Logs as postscreen does.
 */
#include "smtpd/prescreen.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "smtpd/prescreen_dns.h"
#include "smtpd/reply.h"

enum {
    PEEK_BYTES = 512,
    UNREAD_BYTES = 1 << 20,
    LOOK_MS = 100,          /* how often it is looked whether an allow list makes the wait needless */
};

enum access { ACCESS_NONE, ACCESS_PERMIT, ACCESS_REJECT };

/* One word of postscreen_access_list. */
struct access_item {
    bool mynetworks;
    struct table *table;    /* NULL: `constant` */
    enum access constant;
};

struct prescreen {
    enum prescreen_action deny, greet, list;
    struct access_item *items;
    size_t n_items, cap_items;
    struct dnsbl *dnsbl;    /* NULL: no lists */
    struct str teaser;      /* "220-...\r\n", or empty */
    bool tests_greeting;
    struct hash clients;    /* struct waiting by address */
};

/* Connections of one address that are being tested. */
struct waiting {
    struct hash_node node;
    size_t n;
    char addr[INET6_ADDRSTRLEN];
};

/* Until when a client need not be tested again, in seconds since 1970. */
struct passed {
    int64_t greet, dnsbl;
};

/* ---- settings ---- */

/* The value of a parameter that has one of these words */
static enum prescreen_action action_of(const char *value)
{
    static const char *const names[] = { "ignore", "enforce", "drop" };
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(names) && strcmp(value, names[i]) != 0)
        i++;
    return (enum prescreen_action)i;
}

static bool parse_access(struct span word, enum access *ret)
{
    if (span_eq_nocase_str(word, "permit") || span_eq_nocase_str(word, "static:all"))
        *ret = ACCESS_PERMIT;
    else if (span_eq_nocase_str(word, "reject"))
        *ret = ACCESS_REJECT;
    else if (span_eq_nocase_str(word, "dunno"))
        *ret = ACCESS_NONE;
    else
        return false;
    return true;
}

static int open_access(struct prescreen *ps, const char *list)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct span in = span_of(list), word;

    while (span_word(&in, ", \t\r\n", &word)) {
        struct access_item item = { .mynetworks = span_eq_nocase_str(word, "permit_mynetworks") };

        if (!item.mynetworks && !parse_access(word, &item.constant)) {
            int r = table_open(word, &item.table, &err);

            if (r < 0) {
                log_error("bad value for parameter postscreen_access_list: %s: expected permit_mynetworks, permit, reject, "
                          "dunno or a table", str_cstr(&err));
                return r;
            }
        }
        MEM_GROW(ps->items, ps->n_items, ps->cap_items);
        ps->items[ps->n_items++] = item;
    }
    return 0;
}

int prescreen_open(struct service *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const struct params *p = sv->params;

    if (!p->smtpd_prescreen)
        return 0;

    struct prescreen *ps = mem_new(struct prescreen);

    ps->clients = HASH_INIT;
    ps->deny = action_of(p->postscreen_denylist_action);
    ps->greet = action_of(p->postscreen_greet_action);
    ps->list = action_of(p->postscreen_dnsbl_action);
    if (open_access(ps, p->postscreen_access_list) < 0)
        return -EINVAL;
    if (dnsbl_open(p, &sv->restrictions, &ps->dnsbl, &err) < 0) {
        log_error("%s", str_cstr(&err));
        return -EINVAL;
    }
    /* With TLS from the first byte it is the client's turn to speak. */
    ps->tests_greeting = p->postscreen_greet_wait > 0 && !p->smtpd_tls_wrappermode;
    if (*p->postscreen_greet_banner)
        str_addf(&ps->teaser, "220-%s\r\n", p->postscreen_greet_banner);
    sv->prescreen = ps;
    return 0;
}

/* ---- refusing ---- */

/* The reply leaves at once or never: nobody waits for a client that is to go. What it has said is taken off the
 * socket, or the close would reset the connection before the client has read the reply. */
static void drop(struct smtpd *s, const char *text)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "%s\r\n", text);
    if (!s->sv->params->smtpd_tls_wrappermode)
        send(stream_fd(s->client), line.data, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    recv(stream_fd(s->client), NULL, UNREAD_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    log_info("DISCONNECT [%s]:%u", s->addr, s->port);
}

/* A test has failed. text: what follows "521 " or "550 ". false: the session is over */
static bool act(struct smtpd *s, enum prescreen_action action, const char *text)
{
    _cleanup_(str_free) struct str reply = STR_INIT;

    if (action == PRESCREEN_IGNORE)
        return true;
    str_addf(&reply, "%s %s", action == PRESCREEN_DROP ? "521" : "550", text);
    if (action == PRESCREEN_ENFORCE) {
        if (s->prescreen_refusal.len == 0)
            str_set(&s->prescreen_refusal, str_span(&reply));
        return true;
    }
    drop(s, str_cstr(&reply));
    return false;
}

const char *prescreen_refusal(const struct smtpd *s)
{
    return s->prescreen_refusal.len > 0 ? s->prescreen_refusal.data : NULL;
}

void prescreen_refuse_rcpt(struct smtpd *s)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "NOQUEUE: reject: RCPT from [%s]:%u: %s; from=<", s->addr, s->port, prescreen_refusal(s));
    show_address(&line, str_span(&s->sender));
    str_add_str(&line, ">, to=<");
    show_address(&line, str_span(&s->rcpt));
    str_addf(&line, ">, proto=%s, helo=<" SPAN_FMT ">", s->esmtp ? "ESMTP" : "SMTP", SPAN_ARG(str_span(&s->helo)));
    log_info("%s", str_cstr(&line));
    reply(s, "%s", prescreen_refusal(s));
}

/* ---- who is not tested ---- */

static enum access look_up(struct smtpd *s, struct table *t)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    enum access found = ACCESS_NONE;
    int r = table_get(t, span_of(s->addr), &value);

    if (r < 0)
        log_warn("postscreen_access_list: %s: look-up failed; skipping it", table_name(t));
    else if (r > 0 && !parse_access(str_span(&value), &found))
        log_warn("postscreen_access_list: %s: bad value for %s; skipping it", table_name(t), s->addr);
    return found;
}

static enum access check_access(struct smtpd *s)
{
    const struct prescreen *ps = s->sv->prescreen;
    enum access found = ACCESS_NONE;

    for (size_t i = 0; found == ACCESS_NONE && i < ps->n_items; i++) {
        const struct access_item *item = &ps->items[i];

        if (item->mynetworks)
            found = match_list_has_client(s->sv->mynetworks, span_of("unknown"), span_of(s->addr)) > 0
                        ? ACCESS_PERMIT
                        : ACCESS_NONE;
        else
            found = item->table ? look_up(s, item->table) : item->constant;
    }
    return found;
}

/* "greet;dnsbl", as anvil keeps it; what is malformed is not known */
static struct passed parse_passed(const char *text)
{
    struct span rest = span_of(text), greet = span_cut(&rest, ';');
    struct passed p = { 0 };

    if (span_i64(greet, &p.greet) < 0 || span_i64(rest, &p.dnsbl) < 0)
        return (struct passed){ 0 };
    return p;
}

static bool needs_greet(const struct smtpd *s, const struct passed *p)
{
    return s->sv->prescreen->tests_greeting && p->greet <= clock_real();
}

static bool needs_dnsbl(const struct smtpd *s, const struct passed *p)
{
    return s->sv->prescreen->dnsbl && p->dnsbl <= clock_real();
}

/* ---- connections of one address at once ---- */

static struct waiting *waiting_of(const struct smtpd *s)
{
    return HASH_ENTRY(hash_get(&s->sv->prescreen->clients, span_of(s->addr)), struct waiting, node);
}

static bool enter(struct smtpd *s)
{
    struct waiting *w = waiting_of(s);
    int64_t limit = s->sv->params->postscreen_client_connection_count_limit;

    if (w && limit > 0 && w->n >= (size_t)limit)
        return false;
    if (!w) {
        w = mem_new(struct waiting);
        memcpy(w->addr, s->addr, sizeof w->addr);
        w->node.key = span_of(w->addr);
        hash_put(&s->sv->prescreen->clients, &w->node);
    }
    w->n++;
    return true;
}

static void leave(struct smtpd *s)
{
    struct waiting *w = waiting_of(s);

    if (--w->n > 0)
        return;
    hash_remove(&s->sv->prescreen->clients, &w->node);
    free(w);
}

/* ---- the tests ---- */

/* Seconds with two significant digits, as Postfix logs delays */
static const char *elapsed(uint64_t since_ms, char buf[static 32])
{
    double s = (double)(clock_ms() - since_ms) / 1000;

    snprintf(buf, 32, s < 10 ? "%.2g" : "%.0f", s);
    return buf;
}

/* C escapes, so that a log line shows what a client said */
static void add_quoted(struct str *ret, struct span text)
{
    static const char plain[] = "\r\n\t\\", escaped[] = "rnt\\";

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *at = c ? strchr(plain, c) : NULL;

        if (at)
            str_addf(ret, "\\%c", escaped[at - plain]);
        else if (c >= ' ' && c < 127)
            str_add_char(ret, c);
        else
            str_addf(ret, "\\%03o", (unsigned char)c);
    }
}

/* What waits in the socket: its length, 0 the client is gone, -EAGAIN nothing */
static ssize_t peek(const struct smtpd *s, char buf[static PEEK_BYTES])
{
    ssize_t n = recv(stream_fd(s->client), buf, PEEK_BYTES, MSG_PEEK | MSG_DONTWAIT);

    return n < 0 && errno == EAGAIN ? -EAGAIN : n < 0 ? 0 : n;
}

static void log_hangup(const struct smtpd *s, uint64_t start)
{
    char after[32];

    log_info("HANGUP after %s from [%s]:%u in tests before SMTP handshake", elapsed(start, after), s->addr, s->port);
    log_info("DISCONNECT [%s]:%u", s->addr, s->port);
}

static void log_pregreet(const struct smtpd *s, struct span said, uint64_t start)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    char after[32];

    add_quoted(&text, span_first(said, 100));
    log_info("PREGREET %zu after %s from [%s]:%u: %s", said.len, elapsed(start, after), s->addr, s->port,
             str_cstr(&text));
}

static bool is_allowlisted(const struct smtpd *s, const struct dnsbl_score *score)
{
    int64_t threshold = s->sv->params->postscreen_dnsbl_allowlist_threshold;

    return score && score->done && threshold < 0 && score->score <= threshold;
}

/* Wait out postscreen_greet_wait. 0: the client was silent; else what peek() says */
static ssize_t wait_silently(struct smtpd *s, const struct dnsbl_score *score, uint64_t start,
                             char buf[static PEEK_BYTES])
{
    uint64_t end = start + (uint64_t)s->sv->params->postscreen_greet_wait * 1000;
    bool look = score && s->sv->params->postscreen_dnsbl_allowlist_threshold < 0;

    while (clock_ms() < end && !is_allowlisted(s, score)) {
        uint64_t until = look && !score->done ? clock_deadline_ms(LOOK_MS) : end;
        int r = fiber_wait_fd(stream_fd(s->client), EPOLLIN, until < end ? until : end);

        if (r == -ECANCELED)
            return 0;
        if (r == -ETIMEDOUT)
            continue;

        ssize_t n = peek(s, buf);

        if (n != -EAGAIN)
            return n > 0 ? n : -ENODATA;
    }
    return 0;
}

/* How the tests have ended. */
struct outcome {
    bool over;              /* the client is gone, or was told to go */
    bool failed;            /* some test, whatever its action */
    struct passed passed;
};

static void test_greeting(struct smtpd *s, const struct dnsbl_score *score, struct outcome *o)
{
    uint64_t start = clock_ms();
    char buf[PEEK_BYTES];

    if (s->sv->prescreen->teaser.len > 0)
        send(stream_fd(s->client), s->sv->prescreen->teaser.data, s->sv->prescreen->teaser.len,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    ssize_t n = wait_silently(s, score, start, buf);
    if (n < 0) {
        log_hangup(s, start);
        o->over = true;
    } else if (n > 0) {
        log_pregreet(s, span_make(buf, (size_t)n), start);
        o->failed = true;
        o->over = !act(s, s->sv->prescreen->greet, "5.5.1 Protocol error");
    } else {
        o->over = fiber_cancelled();
        o->passed.greet = clock_real() + s->sv->params->postscreen_greet_ttl;
    }
}

static void test_lists(struct smtpd *s, struct dnsbl_score *score, struct outcome *o)
{
    const struct params *p = s->sv->params;
    _cleanup_(str_free) struct str text = STR_INIT;
    int r = dnsbl_wait(score, clock_deadline_ms(p->postscreen_dnsbl_timeout * 1000));

    o->over = r == -ECANCELED;
    if (!score->done) {
        o->failed = true;
    } else if (score->score >= p->postscreen_dnsbl_threshold) {
        log_info("DNSBL rank %lld for [%s]:%u", (long long)score->score, s->addr, s->port);
        str_addf(&text, "5.7.1 Service unavailable; client [%s] blocked using %s", s->addr,
                 score->domain ? score->domain : "a DNS list");
        o->failed = true;
        o->over = !act(s, s->sv->prescreen->list, str_cstr(&text));
    } else if (score->complete) {
        o->passed.dnsbl = clock_real() + score->ttl;
    } else {
        o->failed = true; /* not for long: the next connection is tested again */
    }
}

static void run_tests(struct smtpd *s, struct outcome *o)
{
    struct dnsbl_score *score =
        needs_dnsbl(s, &o->passed) ? dnsbl_ask(s->sv->prescreen->dnsbl, &s->remote, s->addr) : NULL;

    if (needs_greet(s, &o->passed))
        test_greeting(s, score, o);
    if (score && !o->over)
        test_lists(s, score, o);
    if (score)
        dnsbl_release(score);
}

static void remember(struct smtpd *s, const struct passed *passed)
{
    int64_t last = passed->greet > passed->dnsbl ? passed->greet : passed->dnsbl;
    struct anvil_remember m = {
        .expires = (uint64_t)(last + s->sv->params->postscreen_cache_retention_time),
    };

    snprintf(m.client, sizeof m.client, "%s", s->addr);
    snprintf(m.passed, sizeof m.passed, "%lld;%lld", (long long)passed->greet, (long long)passed->dnsbl);
    anvil_remember(s->sv->anvil, &m);
}

static bool test_client(struct smtpd *s)
{
    struct anvil_memory memory = { 0 };

    anvil_recall(s->sv->anvil, s->addr, &memory);

    struct outcome o = { .passed = parse_passed(memory.passed) };

    if (needs_greet(s, &o.passed) || needs_dnsbl(s, &o.passed)) {
        run_tests(s, &o);
        if (o.over)
            return false;
        if (o.failed)
            return true;
        remember(s, &o.passed);
    }
    log_info("PASS %s [%s]:%u", memory.passed[0] ? "OLD" : "NEW", s->addr, s->port);
    return true;
}

bool prescreen_client(struct smtpd *s)
{
    char to[INET6_ADDRSTRLEN];

    if (!s->sv->prescreen || s->remote.sa.sa_family == AF_UNSPEC)
        return true;
    log_info("CONNECT from [%s]:%u to [%s]:%u", s->addr, s->port, socket_addr_print(&s->local, to),
             socket_addr_port(&s->local));

    enum access access = check_access(s);

    if (access == ACCESS_PERMIT) {
        log_info("ALLOWLISTED [%s]:%u", s->addr, s->port);
        return true;
    }
    if (access == ACCESS_REJECT) {
        log_info("DENYLISTED [%s]:%u", s->addr, s->port);
        return act(s, s->sv->prescreen->deny, "5.3.2 Service currently unavailable");
    }
    if (!enter(s)) {
        log_info("NOQUEUE: reject: CONNECT from [%s]:%u: too many connections", s->addr, s->port);
        drop(s, "421 4.7.0 Error: too many connections");
        return false;
    }
    bool passed = test_client(s);
    leave(s);
    return passed;
}
