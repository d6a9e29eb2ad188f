/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - TLS with clients: one struct tls_server in each process that accepts them
 *
 *     server.c     contexts, the handshake, reading everything again
 *     settings.c   what main.cf says
 *     sni.c        certificates by the name that the client asks for
 *     ticket.c     resumed sessions
 *     authority.c  client certificates: who may have signed them
 */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include "io/stream.h"
#include "tls/tls.h"

struct tls_server;

enum tls_ask { TLS_ASK_NOTHING, TLS_ASK_CERT, TLS_REQUIRE_CERT };

/* Texts are the caller's and must live as long as the server. */
struct tls_server_config {
    const char *protocol;       /* "smtp", "imap", "pop3": no session of one is resumed in another */
    const char *service;        /* master.cf name */

    const char *chain_files;    /* PEM list: key(s) and chain(s) together; wins over the next four */
    const char *cert_file, *key_file;           /* key_file empty: in cert_file */
    const char *ec_cert_file, *ec_key_file;     /* beside those, of another algorithm */
    const char *sni_maps;       /* keys and chains by name; empty: none */

    const char *protocols;      /* ">=TLSv1.2", Postfix syntax; empty: that */
    const char *ciphers;        /* OpenSSL's list for TLS up to 1.2; empty: its default */
    const char *groups;         /* of the key exchange; empty: OpenSSL's */
    uint64_t options;           /* SSL_OP_... to switch on */

    enum tls_ask ask;
    const char *ca_file, *ca_path;
    bool default_ca;            /* the system's authorities as well */
    int verify_depth;

    const char *ticket_service; /* "tlsmgr"; empty: keys of this process alone */
    int64_t session_timeout_ms; /* 0: no resumption */
    bool always_session_id;     /* also for TLS 1.2 clients that cannot use it */
};

/*
 * From smtpd_tls_* and tls_*. mandatory: there is no session without TLS here, so that smtpd_tls_mandatory_* count.
 * 0, or -EINVAL with *err. ret->ciphers and ret->groups are to be freed by tls_server_config_done.
 */
int tls_server_settings(const struct params *p, bool mandatory, struct tls_server_config *ret,
                        struct str *err);
void tls_server_config_done(struct tls_server_config *cfg);

/* Read everything. 0, or -EINVAL/-errno with *err naming the file and cause. cfg is copied, its texts are not. */
int tls_server_open(const struct tls_server_config *cfg, struct tls_server **ret, struct str *err);
void tls_server_free(struct tls_server *srv);
DEFINE_CLEANUP(struct tls_server, tls_server_free);

/* Some of the files have changed: read them again. On failure, as tls_server_open's, the old contents stay in
 * use. Sessions go on in any case. */
MAY_WAIT int tls_server_reread(struct tls_server *srv, struct str *err);

/* Every file that tls_server_reread opens, for the skeleton to watch; tables look after themselves. */
void tls_server_foreach_file(const struct tls_server *srv, void (*fn)(const char *path, void *arg),
                             void *arg);

/*
 * Do the handshake with the client of st, with its plaintext discarded. 0, or the stream's error. Of a
 * name that cannot be looked up, on_problem() is told.
 */
MAY_WAIT int tls_server_handshake(struct tls_server *srv, struct stream *st);

/* What is told to the administrator: one line each. Set once per process; without it nobody is told. */
void tls_server_on_problem(void (*fn)(const char *text));

#endif
