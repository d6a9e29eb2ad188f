/*
 * tlsload: the parts of the load that speak TLS, and mail without it. Talks to 127.0.0.1 only, bounded in count, prints
 * JSON lines.
 *
 *   tlsload idle-smtp PORT N                  hold N sessions that have done STARTTLS and EHLO until stdin closes
 *   tlsload idle-imap PORT N                  the same with IMAP and its STARTTLS
 *   tlsload intake    PORT SESSIONS N SIZE plain|tls|resume RCPT...
 *                                             N messages of SIZE bytes, a connection for each, with STARTTLS unless
 *                                             "plain"; "resume": sessions are resumed
 *
 * Linked with libssl. Certificates are not verified.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "tlsload"
#include "common.h"

#define OPENERS 8

struct conn {
    int fd;
    SSL *ssl;
    size_t len;
    char buf[4096];
};

static SSL_CTX *ctx;

static void dial(struct conn *c, int port)
{
    struct sockaddr_in a = loopback(port);
    struct timeval tv = {.tv_sec = IO_TIMEOUT_S};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (void *)&a, sizeof a))
        die("connect to port %d", port);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    c->ssl = NULL;
    c->len = 0;
}

static void put(struct conn *c, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = c->ssl ? SSL_write(c->ssl, p, (int)n) : write(c->fd, p, n);
        if (w <= 0)
            die("write");
        p += w;
        n -= (size_t)w;
    }
}

/* Reads up to the end of a line that is the last of its answer: "250 ok", "a OK done", "* OK hello". */
static void expect(struct conn *c, const char *prefix)
{
    size_t at = 0;
    for (;;) {
        char *nl;
        while ((nl = memchr(c->buf + at, '\n', c->len - at))) {
            char *line = c->buf + at;
            at = (size_t)(nl + 1 - c->buf);
            if (strncmp(line, prefix, strlen(prefix)) == 0) {
                memmove(c->buf, c->buf + at, c->len -= at);
                return;
            }
            if (line[0] == '4' || line[0] == '5')
                die("answer: %.*s", (int)(nl - line), line);
        }
        memmove(c->buf, c->buf + at, c->len -= at);
        at = 0;
        ssize_t r = c->ssl ? SSL_read(c->ssl, c->buf + c->len, (int)(sizeof c->buf - c->len))
                           : read(c->fd, c->buf + c->len, sizeof c->buf - c->len);
        if (r <= 0)
            die("read, expecting %s", prefix);
        c->len += (size_t)r;
    }
}

static void say(struct conn *c, const char *line, const char *answer)
{
    put(c, line, strlen(line));
    expect(c, answer);
}

static void handshake(struct conn *c, SSL_SESSION *session)
{
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, c->fd);
    if (session)
        SSL_set_session(c->ssl, session);
    if (SSL_connect(c->ssl) != 1)
        die("handshake");
}

static void open_smtp(struct conn *c, int port, SSL_SESSION *session)
{
    dial(c, port);
    expect(c, "220 ");
    say(c, "EHLO client.test\r\n", "250 ");
    say(c, "STARTTLS\r\n", "220 ");
    handshake(c, session);
    say(c, "EHLO client.test\r\n", "250 ");
}

static void open_imap(struct conn *c, int port)
{
    dial(c, port);
    expect(c, "* OK");
    say(c, "a STARTTLS\r\n", "a OK");
    handshake(c, NULL);
    say(c, "b NOOP\r\n", "b OK");
}

static void open_plain(struct conn *c, int port)
{
    dial(c, port);
    expect(c, "220 ");
    say(c, "EHLO client.test\r\n", "250 ");
}

static void hang_up(struct conn *c)
{
    SSL_free(c->ssl);
    close(c->fd);
}

/* ---- idle ---- */

static struct {
    int port, n, imap;
    struct conn *conns;
    atomic_int next;
} held;

static void *open_some(void *arg)
{
    int i;
    (void)arg;
    while ((i = held.next++) < held.n)
        held.imap ? open_imap(&held.conns[i], held.port) : open_smtp(&held.conns[i], held.port, NULL);
    return NULL;
}

static void idle(int port, int n, int imap)
{
    struct rlimit fds = {(rlim_t)n + 100, (rlim_t)n + 100};
    pthread_t t[OPENERS];
    char c;
    setrlimit(RLIMIT_NOFILE, &fds);
    held.port = port;
    held.n = n;
    held.imap = imap;
    held.conns = calloc((size_t)n, sizeof *held.conns);
    double start = now();
    for (int i = 0; i < OPENERS; i++)
        pthread_create(&t[i], NULL, open_some, NULL);
    for (int i = 0; i < OPENERS; i++)
        pthread_join(t[i], NULL);
    printf("{\"n\": %d, \"s\": %.4f}\n", n, now() - start);
    fflush(stdout);
    while (read(0, &c, 1) > 0)
        ;
}

/* ---- intake ---- */

static struct {
    int port, n, plain, resume, n_rcpts;
    char **rcpts, *body;
    size_t size;
    atomic_int next, resumed;
} load;

static void send_message(struct conn *c, const char *rcpt)
{
    char line[512];
    say(c, "MAIL FROM:<load@src.test>\r\n", "250 ");
    snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", rcpt);
    say(c, line, "250 ");
    say(c, "DATA\r\n", "354 ");
    put(c, load.body, load.size);
    expect(c, "250 ");
    say(c, "QUIT\r\n", "221 ");
}

static void *send_some(void *arg)
{
    SSL_SESSION *session = NULL;
    struct conn c;
    int i;
    (void)arg;
    while ((i = load.next++) < load.n) {
        if (load.plain) {
            open_plain(&c, load.port);
            send_message(&c, load.rcpts[i % load.n_rcpts]);
            hang_up(&c);
            continue;
        }
        open_smtp(&c, load.port, session);
        send_message(&c, load.rcpts[i % load.n_rcpts]);
        load.resumed += SSL_session_reused(c.ssl);
        SSL_SESSION_free(session);
        session = load.resume ? SSL_get1_session(c.ssl) : NULL;
        SSL_set_shutdown(c.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        hang_up(&c);
    }
    return NULL;
}

static void make_body(size_t size)
{
    static const char head[] = "From: <load@src.test>\r\nSubject: load\r\n\r\n", tail[] = ".\r\n";
    load.body = malloc(size + sizeof head + sizeof tail + 80);
    load.size = sizeof head - 1;
    memcpy(load.body, head, load.size);
    while (load.size < size) {
        memset(load.body + load.size, 'x', 70);
        memcpy(load.body + load.size + 70, "\r\n", 2);
        load.size += 72;
    }
    memcpy(load.body + load.size, tail, sizeof tail - 1);
    load.size += sizeof tail - 1;
}

static void intake(int sessions)
{
    pthread_t *t = calloc((size_t)sessions, sizeof *t);
    double start = now();
    for (int i = 0; i < sessions; i++)
        pthread_create(&t[i], NULL, send_some, NULL);
    for (int i = 0; i < sessions; i++)
        pthread_join(t[i], NULL);
    printf("{\"n\": %d, \"s\": %.4f, \"resumed\": %d}\n", load.n, now() - start, load.resumed);
    free(t);
}

int main(int argc, char **argv)
{
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (argc == 4 && strncmp(argv[1], "idle-", 5) == 0) {
        idle(atoi(argv[2]), atoi(argv[3]), strcmp(argv[1], "idle-imap") == 0);
        return 0;
    }
    if (argc < 8 || strcmp(argv[1], "intake") != 0) {
        fprintf(stderr, "usage: see the head of tlsload.c\n");
        return 2;
    }
    load.port = atoi(argv[2]);
    load.n = atoi(argv[4]);
    load.plain = strcmp(argv[6], "plain") == 0;
    load.resume = strcmp(argv[6], "resume") == 0;
    load.rcpts = argv + 7;
    load.n_rcpts = argc - 7;
    make_body((size_t)atol(argv[5]));
    intake(atoi(argv[3]));
    return 0;
}
