/*
 * imapidle: many IMAP sessions that say nothing, in IDLE; and how long it takes until all have heard of a delivery.
 * Talks to loopback only, bounded in count and time, prints JSON lines.
 *
 *   imapidle PORT N PASS TLS DEFLATE
 *
 * TLS, DEFLATE: 0 or 1. The first line of standard input names the users, among whom the N sessions take turns. Each
 * further line asks for one wait: "ready" is answered at once, a report when every session has had an EXISTS since.
 * At the end of the input all are closed.
 *
 * Linked with libssl and -lz. Certificates are not verified.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define PROGRAM "imapidle"
#include "common.h"

#define OPENERS 8
#define A_SOURCE 20000      /* connections from one address: it has some 28,000 ports */

struct conn {
    int fd, waits;
    size_t len;
    SSL *ssl;
    z_stream *in, *out;     /* NULL: not compressed */
    char buf[4096];
};

static struct {
    int port, n, tls, deflate, nusers;
    const char *pass;
    char **users;
    struct conn *conns;
    atomic_int next;
} load;

static SSL_CTX *ctx;

/* ---- bytes ---- */

static void put_raw(struct conn *c, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (w <= 0)
            die("write");
        p += w;
        n -= (size_t)w;
    }
}

static void put(struct conn *c, const char *line)
{
    char out[1024];
    if (!c->out) {
        put_raw(c, line, strlen(line));
        return;
    }
    c->out->next_in = (Bytef *)(size_t)line;
    c->out->avail_in = (uInt)strlen(line);
    c->out->next_out = (Bytef *)out;
    c->out->avail_out = sizeof out;
    deflate(c->out, Z_SYNC_FLUSH);
    put_raw(c, out, sizeof out - c->out->avail_out);
}

/* More plain text behind c->len. 0: a non-blocking read found nothing. */
static int fill(struct conn *c)
{
    size_t room = sizeof c->buf - c->len;
    char raw[1024], *to = c->in ? raw : c->buf + c->len;
    ssize_t r;
    if (c->in && room > sizeof raw)
        room = sizeof raw;
    if (c->ssl) {
        r = SSL_read(c->ssl, to, (int)(c->in ? sizeof raw / 4 : room));
        if (r <= 0 && SSL_get_error(c->ssl, (int)r) == SSL_ERROR_WANT_READ)
            return 0;
    } else {
        r = read(c->fd, to, c->in ? sizeof raw / 4 : room);
        if (r < 0 && errno == EAGAIN)
            return 0;
    }
    if (r <= 0)
        die("connection lost");
    if (!c->in) {
        c->len += (size_t)r;
        return 1;
    }
    c->in->next_in = (Bytef *)raw;
    c->in->avail_in = (uInt)r;
    c->in->next_out = (Bytef *)c->buf + c->len;
    c->in->avail_out = (uInt)(sizeof c->buf - c->len);
    if (inflate(c->in, Z_SYNC_FLUSH) < 0 || c->in->avail_in > 0)
        die("inflate");
    c->len = sizeof c->buf - c->in->avail_out;
    return 1;
}

/* Takes away all whole lines that are there; whether one of them begins or ends so. */
static int saw(struct conn *c, const char *prefix, const char *suffix)
{
    char *line = c->buf, *end = c->buf + c->len, *nl;
    int seen = 0;
    while (!seen && (nl = memchr(line, '\n', (size_t)(end - line)))) {
        size_t n = (size_t)(nl - line);
        if (prefix && n >= 5 && strncmp(line, "* BYE", 5) == 0)
            die("%.*s", (int)n, line);
        seen = (prefix && n >= strlen(prefix) && strncmp(line, prefix, strlen(prefix)) == 0) ||
               (suffix && n > strlen(suffix) && strncmp(nl - 1 - strlen(suffix), suffix, strlen(suffix)) == 0);
        line = nl + 1;
    }
    if (!seen && line == c->buf && c->len == sizeof c->buf)
        line = end; /* a line longer than the buffer: none that we want */
    c->len = (size_t)(end - line);
    memmove(c->buf, line, c->len);
    return seen;
}

static void expect(struct conn *c, const char *prefix)
{
    while (!saw(c, prefix, NULL))
        fill(c);
}

static void say(struct conn *c, const char *line, const char *answer)
{
    put(c, line);
    expect(c, answer);
}

/* ---- opening ---- */

static void dial(struct conn *c, int i)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load.port)},
                       from = {.sin_family = AF_INET};
    struct timeval tv = {.tv_sec = IO_TIMEOUT_S};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i / A_SOURCE);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (c->fd < 0 || bind(c->fd, (void *)&from, sizeof from) || connect(c->fd, (void *)&to, sizeof to))
        die("connect to port %d", load.port);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}

static void compress_from_now_on(struct conn *c)
{
    c->in = calloc(1, sizeof *c->in);
    c->out = calloc(1, sizeof *c->out);
    if (inflateInit2(c->in, -15) != Z_OK || deflateInit2(c->out, 6, Z_DEFLATED, -9, 1, Z_DEFAULT_STRATEGY) != Z_OK)
        die("zlib");
}

static void open_one(struct conn *c, int i)
{
    char line[512];
    dial(c, i);
    expect(c, "* OK");
    if (load.tls) {
        say(c, "s STARTTLS\r\n", "s OK");
        c->ssl = SSL_new(ctx);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1)
            die("handshake");
    }
    snprintf(line, sizeof line, "l LOGIN %s %s\r\n", load.users[i % load.nusers], load.pass);
    say(c, line, "l OK");
    if (load.deflate) {
        say(c, "c COMPRESS DEFLATE\r\n", "c OK");
        compress_from_now_on(c);
    }
    say(c, "b SELECT INBOX\r\n", "b OK");
    say(c, "i IDLE\r\n", "+");
}

static void *open_some(void *arg)
{
    int i;
    (void)arg;
    while ((i = load.next++) < load.n)
        open_one(&load.conns[i], i);
    return NULL;
}

static void open_all(void)
{
    pthread_t t[OPENERS];
    double start = now();
    load.conns = calloc((size_t)load.n, sizeof *load.conns);
    for (int i = 0; i < OPENERS; i++)
        pthread_create(&t[i], NULL, open_some, NULL);
    for (int i = 0; i < OPENERS; i++)
        pthread_join(t[i], NULL);
    printf("{\"connections\": %d, \"s\": %.6f}\n", load.n, now() - start);
    fflush(stdout);
}

/* ---- waiting ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Keep-alive lines may lie there already; only an EXISTS counts. */
static void wait_for_all(int ep, double *took)
{
    struct epoll_event events[256];
    int left = load.n;
    double start = now();
    for (int i = 0; i < load.n; i++)
        load.conns[i].waits = 1;
    printf("ready\n");
    fflush(stdout);
    while (left > 0) {
        int n = epoll_wait(ep, events, 256, IO_TIMEOUT_S * 1000);
        if (n <= 0)
            die("%d sessions heard nothing", left);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            while (fill(c))
                while (saw(c, NULL, " EXISTS"))
                    if (c->waits) {
                        c->waits = 0;
                        took[--left] = now() - start;
                    }
        }
    }
    qsort(took, (size_t)load.n, sizeof *took, by_value);
    printf("{\"s\": %.6f, \"p50_s\": %.6f, \"first_s\": %.6f}\n", took[load.n - 1], took[load.n / 2], took[0]);
    fflush(stdout);
}

static int make_pollable(void)
{
    int ep = epoll_create1(0);
    for (int i = 0; i < load.n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &load.conns[i]};
        if (fcntl(load.conns[i].fd, F_SETFL, O_NONBLOCK) || epoll_ctl(ep, EPOLL_CTL_ADD, load.conns[i].fd, &e))
            die("epoll");
    }
    return ep;
}

static void read_users(void)
{
    static char line[1 << 20];
    if (!fgets(line, sizeof line, stdin))
        die("no users on stdin");
    for (char *w = strtok(line, " \n"); w; w = strtok(NULL, " \n")) {
        load.users = realloc(load.users, (size_t)(load.nusers + 1) * sizeof *load.users);
        load.users[load.nusers++] = w;
    }
}

int main(int argc, char **argv)
{
    char line[64];
    if (argc != 6) {
        fprintf(stderr, "usage: see the head of imapidle.c\n");
        return 2;
    }
    load.port = atoi(argv[1]);
    load.n = atoi(argv[2]);
    load.pass = argv[3];
    load.tls = atoi(argv[4]);
    load.deflate = atoi(argv[5]);
    struct rlimit fds = {(rlim_t)load.n + 100, (rlim_t)load.n + 100};
    setrlimit(RLIMIT_NOFILE, &fds);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    read_users();
    open_all();
    double *took = calloc((size_t)load.n, sizeof *took);
    int ep = make_pollable();
    while (fgets(line, sizeof line, stdin))
        wait_for_all(ep, took);
    return 0;
}
