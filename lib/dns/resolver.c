/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.c - c-ares driven by the loop: servers, retries, ports and TCP are its, waiting is ours
 *
 * One channel a thread. Its sockets report to the loop by callback; time-outs
 * are driven by those who wait. c-ares cannot withdraw one question, so a state
 * whose fiber has gone is kept until its answer, or c-ares' own time-out, comes.
 *
 * Runs in: smtpd and smtp; answers are hostile.
 */
#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "dns/internal.h"

enum { TIMEOUT_DEFAULT_MS = 10000, TRIES = 3, TRY_SHARE = 4 };

/* Set by dns_init(). */
static struct {
    char *servers; /* c-ares' form: commas. NULL: the system's */
    int64_t timeout_ms;
} config = {.timeout_ms = TIMEOUT_DEFAULT_MS};

struct dns_query_state {
    struct list link; /* in resolver.asked, until the answer came */
    enum dns_type type;
    uint16_t id;
    bool done, abandoned;
    uint64_t deadline; /* dns_timeout's */
    struct waitq waiting;
    struct dns_answer answer;
};

struct watched {
    struct list link;
    ares_socket_t fd;
    struct poll_fd *poll;
};

static _Thread_local struct resolver {
    ares_channel channel; /* NULL until needed */
    struct list asked;
    struct list sockets;
} resolver;

/* on_ready - a socket of c-ares has something */
static void on_ready(void *arg, unsigned events)
{
    ares_socket_t fd = ((struct watched *)arg)->fd;
    bool in = events & (EPOLLIN | EPOLLERR | EPOLLHUP), out = events & EPOLLOUT;

    ares_process_fd(resolver.channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
}

/* on_socket - c-ares tells what it waits for on a socket; for nothing: it is about to be closed */
static void on_socket(void *unused, ares_socket_t fd, int readable, int writable)
{
    struct watched *w = NULL, *each;

    (void)unused;
    LIST_FOREACH (each, &resolver.sockets, struct watched, link)
        if (each->fd == fd)
            w = each;
    if (!w && (readable || writable)) {
        w = mem_new(struct watched);
        w->fd = fd;
        w->poll = poll_fd_new_callback(fd, on_ready, w);
        list_push_back(&resolver.sockets, &w->link);
    }
    if (readable || writable) {
        poll_fd_watch(w->poll, (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U));
    } else if (w) {
        poll_fd_free(w->poll);
        list_remove(&w->link);
        free(w);
    }
}

/* resolver_open - the channel of this thread; 0, or -EINVAL/-EIO with *err saying why */
static int resolver_open(struct str *err)
{
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
        .timeout = (int)(config.timeout_ms / TRY_SHARE),
        .tries = TRIES,
        .ednspsz = DNS_UDP_MAX,
        .lookups = (char[]){"b"},
        .sock_state_cb = on_socket,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
               ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

    list_init(&resolver.asked);
    list_init(&resolver.sockets);
    int status = ares_init_options(&resolver.channel, &options, mask);
    if (status != ARES_SUCCESS) {
        resolver.channel = NULL;
        str_addf(err, "cannot read the resolver's configuration: %s", ares_strerror(status));
        return -EIO;
    }
    if (config.servers)
        status = ares_set_servers_ports_csv(resolver.channel, config.servers);
    if (status != ARES_SUCCESS) {
        str_addf(err, "bad list of name servers: %s", config.servers);
        return -EINVAL;
    }
    return 0;
}

/* server_list - blanks to commas; NULL for an empty list */
static char *server_list(struct span text)
{
    _cleanup_(str_free) struct str list = STR_INIT;
    struct span word;

    while (span_word(&text, " \t\r\n,", &word)) {
        if (list.len > 0)
            str_add_char(&list, ',');
        str_add(&list, word);
    }
    return list.len > 0 ? str_take(&list) : NULL;
}

int dns_init(const char *servers, int64_t timeout_ms, struct str *err)
{
    if (resolver.channel)
        ares_destroy(resolver.channel);
    resolver.channel = NULL;
    free(config.servers);
    config.servers = server_list(span_of(servers));
    config.timeout_ms = timeout_ms > 0 ? timeout_ms : TIMEOUT_DEFAULT_MS;
    int r = resolver_open(err);
    if (r < 0 && resolver.channel) {
        ares_destroy(resolver.channel);
        resolver.channel = NULL;
    }
    return r;
}

bool dns_servers_are_local(void)
{
    struct ares_addr_port_node *servers = NULL;
    bool local = true;

    if (!resolver.channel || ares_get_servers_ports(resolver.channel, &servers) != ARES_SUCCESS)
        return false;
    for (struct ares_addr_port_node *s = servers; s; s = s->next)
        local = local && (s->family == AF_INET ? (ntohl(s->addr.addr4.s_addr) >> 24) == IN_LOOPBACKNET
                                               : IN6_IS_ADDR_LOOPBACK(&s->addr.addr6));
    ares_free_data(servers);
    return local;
}

/* finish - the answer is there; wake who waits, or end what nobody waits for */
static void finish(struct dns_query_state *q)
{
    q->done = true;
    list_remove(&q->link);
    waitq_wake(&q->waiting, SIZE_MAX);
    if (q->abandoned) {
        dns_answer_done(&q->answer);
        free(q);
    }
}

/* on_answer - c-ares has an answer, or has given up */
static void on_answer(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
    struct dns_query_state *q = arg;

    (void)timeouts;
    if (status == ARES_SUCCESS && msg && len > 0)
        dns_message_parse(msg, (size_t)len, q->type, &q->answer);
    else
        q->answer.status =
            status == ARES_EBADRESP || status == ARES_EFORMERR ? DNS_INVALID : DNS_TEMPORARY;
    finish(q);
}

/* unused_id - random, and not that of a question under way */
static uint16_t unused_id(void)
{
    struct dns_query_state *q;

    for (;;) {
        uint16_t id = (uint16_t)rand_below(UINT16_MAX + 1);
        bool used = false;

        LIST_FOREACH (q, &resolver.asked, struct dns_query_state, link)
            used = used || q->id == id;
        if (!used)
            return id;
    }
}

struct dns_query_state *dns_resolver_start(const char *name, enum dns_type type)
{
    struct dns_query_state *q = mem_new(struct dns_query_state);
    _cleanup_(str_free) struct str err = STR_INIT;
    unsigned char msg[DNS_QUERY_MAX];

    q->type = type;
    q->deadline = clock_deadline_ms(config.timeout_ms);
    waitq_init(&q->waiting);
    list_init(&q->link);
    if (!resolver.channel && resolver_open(&err) < 0) {
        q->answer.status = DNS_TEMPORARY;
        finish(q);
        return q;
    }
    q->id = unused_id();
    int len = dns_message_query(name, type, q->id, msg);
    if (len < 0) {
        q->answer.status = DNS_INVALID;
        finish(q);
        return q;
    }
    list_push_back(&resolver.asked, &q->link);
    ares_send(resolver.channel, msg, len, on_answer, q);
    return q;
}

/* next_timeout - when c-ares wants to be called, at the latest */
static uint64_t next_timeout(void)
{
    struct timeval tv, *t = ares_timeout(resolver.channel, NULL, &tv);

    return t ? clock_ms() + (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000 + 1
             : CLOCK_NEVER;
}

/* drive_blocking - outside a fiber: wait for c-ares' sockets ourselves */
static void drive_blocking(uint64_t until)
{
    ares_socket_t socks[ARES_GETSOCK_MAXNUM];
    struct pollfd pfds[ARES_GETSOCK_MAXNUM];
    unsigned bits = (unsigned)ares_getsock(resolver.channel, socks, ARES_GETSOCK_MAXNUM);
    uint64_t now = clock_ms();
    int n = 0;

    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        /* by hand: the macros of ares.h shift a one into the sign */
        short events = (short)((bits >> i & 1 ? POLLIN : 0) |
                               (bits >> (i + ARES_GETSOCK_MAXNUM) & 1 ? POLLOUT : 0));

        if (events)
            pfds[n++] = (struct pollfd){.fd = socks[i], .events = events};
    }
    int ms = until == CLOCK_NEVER ? -1 : until <= now ? 0 : (int)(until - now);
    if (poll(pfds, (nfds_t)n, ms) <= 0)
        return;
    for (int i = 0; i < n; i++)
        if (pfds[i].revents)
            ares_process_fd(resolver.channel,
                            pfds[i].revents & ~POLLOUT ? pfds[i].fd : ARES_SOCKET_BAD,
                            pfds[i].revents & POLLOUT ? pfds[i].fd : ARES_SOCKET_BAD);
}

/* wait_some - until something may have changed, `deadline` or c-ares' next time-out; 0 or
 * -ECANCELED */
static int wait_some(struct dns_query_state *q, uint64_t deadline)
{
    uint64_t timeout = next_timeout(), until = timeout < deadline ? timeout : deadline;

    if (!fiber_self()) {
        drive_blocking(until);
    } else {
        int r = waitq_wait(&q->waiting, until);

        if (r != -ETIMEDOUT)
            return r;
    }
    if (clock_ms() >= timeout)
        ares_process_fd(resolver.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return 0;
}

int dns_resolver_wait(struct dns_query_state *q, uint64_t deadline, struct dns_answer *ret)
{
    int r = 0;

    if (q->deadline < deadline)
        deadline = q->deadline;
    while (!q->done && r == 0 && clock_ms() < deadline)
        r = wait_some(q, deadline);
    if (!q->done) {
        q->abandoned = true;
        *ret = (struct dns_answer){.status = DNS_TEMPORARY};
        return r;
    }
    *ret = q->answer;
    free(q);
    return 0;
}
