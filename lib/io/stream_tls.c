/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_tls.c - the TLS layer of a stream: OpenSSL over a BIO that is our own socket code
 *
 * Our own BIO, for two reasons: OpenSSL's writes with write(2), which raises
 * SIGPIPE, and its reads do not know that the socket is empty. OpenSSL reads
 * ahead, so that a record costs one read.
 *
 * OpenSSL's error queue belongs to the thread, which fibers share: it is
 * cleared before each call and read right after it, with no wait between.
 *
 * Runs in: everything that talks TLS; the peer is hostile.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/mem.h"
#include "io/stream_internal.h"

static int bio_write(BIO *b, const char *buf, int len)
{
    struct stream *st = BIO_get_data(b);
    ssize_t n = raw_send(st, buf, (size_t)len, 0);

    BIO_clear_retry_flags(b);
    if (n == -EAGAIN)
        BIO_set_retry_write(b);
    else if (n < 0)
        st->bio_error = (int)n;
    return n < 0 ? -1 : (int)n;
}

static int bio_read(BIO *b, char *buf, int len)
{
    struct stream *st = BIO_get_data(b);
    ssize_t n = raw_recv(st, buf, (size_t)len);

    BIO_clear_retry_flags(b);
    if (n == -EAGAIN)
        BIO_set_retry_read(b);
    else if (n < 0)
        st->bio_error = (int)n;
    else if (n == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return n < 0 ? -1 : (int)n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    default: /* OpenSSL's numbers, an open set: 0 is "not supported" */
        return 0;
    }
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    assert(bio_method);
    BIO_meth_set_write(bio_method, bio_write);
    BIO_meth_set_read(bio_method, bio_read);
    BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

/* tls_reason - what OpenSSL says of the failure just happened, for the log */
static void tls_reason(struct stream *st)
{
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    long verify = SSL_get_verify_result(st->ssl);
    struct str text = STR_INIT;

    if (e && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
        reason = X509_verify_cert_error_string(verify);
    else if (!reason && st->bio_error)
        reason = strerrordesc_np(-st->bio_error);
    str_add_str(&text, reason ? reason : "connection closed by the peer");
    free(st->tls_error);
    st->tls_error = str_take(&text);
}

/* tls_result - translate the failure of an SSL call: -EAGAIN with *ret_wait, -EINPROGRESS for the
 * resolver, 0 at the end, -errno */
static ssize_t tls_result(struct stream *st, int ret, unsigned *ret_wait)
{
    switch (SSL_get_error(st->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        *ret_wait = EPOLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *ret_wait = EPOLLOUT;
        return -EAGAIN;
    case SSL_ERROR_WANT_X509_LOOKUP:
        return -EINPROGRESS;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default: /* OpenSSL's numbers, an open set */
        tls_reason(st);
        SSL_set_quiet_shutdown(st->ssl, 1); /* nothing more may be sent on it */
        return st->bio_error ? st->bio_error : -EPROTO;
    }
}

static ssize_t layer_read(struct stream *st, void *buf, size_t len, unsigned *ret_wait)
{
    size_t n;

    ERR_clear_error();
    int r = SSL_read_ex(st->ssl, buf, len, &n);
    return r > 0 ? (ssize_t)n : tls_result(st, r, ret_wait);
}

static ssize_t layer_write(struct stream *st, const void *buf, size_t len, unsigned *ret_wait)
{
    size_t n;

    ERR_clear_error();
    int r = SSL_write_ex(st->ssl, buf, len, &n);
    if (r > 0)
        return (ssize_t)n;
    ssize_t e = tls_result(st, r, ret_wait);
    return e == 0 ? -EPIPE : e;
}

static size_t layer_pending(const struct stream *st)
{
    return (size_t)SSL_pending(st->ssl);
}

/* layer_end - close_notify */
static void layer_end(struct stream *st)
{
    if (!SSL_is_init_finished(st->ssl))
        return;
    ERR_clear_error();
    SSL_shutdown(st->ssl);
}

static void layer_release(struct stream *st)
{
    SSL_free(st->ssl);
}

static const struct stream_layer tls_layer = { layer_read, layer_write, layer_pending, layer_end, layer_release };

/* handshake - to its end; 0 or the sticky error. resolve may be NULL */
static int handshake(struct stream *st, int (*resolve)(void *arg), void *arg)
{
    for (;;) {
        unsigned events = EPOLLIN;

        ERR_clear_error();
        int ret = SSL_do_handshake(st->ssl);
        if (ret == 1)
            return 0;
        int r = (int)tls_result(st, ret, &events);
        if (r == -EAGAIN)
            r = stream_wait(st, events);
        else if (r == -EINPROGRESS && resolve)
            r = resolve(arg);
        else if (r == 0)
            r = -EPROTO;
        if (r < 0)
            return stream_set_error(st, r);
    }
}

int stream_start_tls(struct stream *st, SSL *ssl)
{
    return stream_start_tls_resolving(st, ssl, NULL, NULL);
}

int stream_start_tls_resolving(struct stream *st, SSL *ssl, int (*resolve)(void *arg), void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    assert(!st->layer && st->pos == st->end);
    pthread_once(&once, make_bio_method);
    int r = stream_flush(st); /* the go-ahead, in plain text */
    BIO *b = BIO_new(bio_method);
    assert(b);
    BIO_set_data(b, st);
    BIO_set_init(b, 1);
    st->layer = &tls_layer;
    st->ssl = ssl;
    SSL_set_bio(ssl, b, b);
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
    SSL_set_read_ahead(ssl, 1);
    st->op_deadline = 0;
    if (r == 0)
        r = stream_error(st);
    return r < 0 ? r : handshake(st, resolve, arg);
}
