/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postdrop - leave a message in maildrop/ while the suite is down
 *
 * The only set-gid program: its group may create files in maildrop/ and do nothing else. sendmail
 * runs it with a socket as standard input and output and speaks to it as to pickup. Exit status 0
 * after the file is durable: pickup submits it when the suite runs again, for the file's owner.
 *
 * The caller is any user and chooses arguments, environment, descriptors, limits and signals: all
 * of these are put in order first, and a configuration of his own is not read.
 *
 * Runs in: sendmail's child, set-gid. Input is hostile.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "config.h"
#include "queue/queue.h"

#define INPUT_TIMEOUT_MS 600000

/* ---- what the caller has a hand in ---- */

static bool is_privileged(void)
{
    return getuid() != 0 && (getegid() != getgid() || geteuid() != getuid());
}

/* A queue file that is half written is removed on the way out, so nothing may end us in between but
 * SIGKILL. */
static void ignore_signals(void)
{
    static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                  SIGPIPE, SIGALRM, SIGXCPU, SIGXFSZ};

    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        signal(signals[i], SIG_IGN);
}

/* Is dir one of alternate_config_directories in the built-in main.cf? */
static bool is_alternate(const char *dir)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = NULL;
    _cleanup_(str_free) struct str list = STR_INIT, err = STR_INIT;
    struct span in, word;

    if (conf_load(POSTERN_CONFIG_DIR, &conf, &err) < 0 ||
        conf_get(conf, "alternate_config_directories", &list, &err) < 0)
        return false;
    in = str_span(&list);
    while (span_word(&in, ", \t\r\n", &word))
        if (span_eq_str(word, dir))
            return true;
    return false;
}

/* The configuration directory to use, after a check; the environment is then empty. */
static char *choose_config(const char *option)
{
    const char *wanted = option ? option : getenv("MAIL_CONFIG");
    char *dir = mem_strdup(wanted && *wanted ? wanted : POSTERN_CONFIG_DIR);

    if (!is_privileged())
        return dir;
    clearenv();
    if (strcmp(dir, POSTERN_CONFIG_DIR) != 0 && !is_alternate(dir))
        log_fatal("%s is not in alternate_config_directories of %s/main.cf", dir,
                  POSTERN_CONFIG_DIR);
    return dir;
}

/* ---- the message ---- */

struct drop {
    const struct params *params;
    struct queue_dirs dirs;
    struct ipc *client;
    struct submit submit;
    struct queue_envelope env; /* its texts are borrowed from submit, rcpts are its own */
    size_t cap_rcpts;
    struct queue_writer *writer;
    struct submit_result result;
};

static void drop_done(struct drop *d)
{
    struct submit *s = &d->submit;
    struct str *texts[] = {&s->sender,   &s->dsn_envid,     &s->client_name, &s->helo,
                           &s->tls_info, &s->sasl_username, &s->sasl_sender, &s->orig_queue_id};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        str_free(texts[i]);
    for (size_t i = 0; i < d->env.n_rcpts; i++) {
        free(d->env.rcpts[i].address);
        free(d->env.rcpts[i].orig);
        free(d->env.rcpts[i].dsn_orcpt);
    }
    free(d->env.rcpts);
    queue_abort(d->writer);
    ipc_free(d->client);
    queue_dirs_close(&d->dirs);
}

static void refuse(struct drop *d, enum submit_status status, const char *dsn, const char *text)
{
    if (d->result.status != SUBMIT_OK)
        return;
    d->result.status = status;
    snprintf(d->result.dsn, sizeof d->result.dsn, "%s", dsn);
    snprintf(d->result.text, sizeof d->result.text, "%s", text);
    queue_abort(TAKE_PTR(d->writer));
}

static void refuse_errno(struct drop *d, int r)
{
    char text[256];

    snprintf(text, sizeof text, "cannot write to maildrop: %s", strerror(-r));
    refuse(d, SUBMIT_TEMPORARY, "4.3.0", text);
}

static int receive_rcpts(struct drop *d)
{
    struct submit_rcpt rcpt = {0};
    int r = 0;

    for (uint32_t i = 0; i < d->submit.n_rcpt && r == 0; i++) {
        r = ipc_recv(d->client, &submit_rcpt_shape, &rcpt);
        if (r < 0)
            break;
        MEM_GROW(d->env.rcpts, d->env.n_rcpts, d->cap_rcpts);
        d->env.rcpts[d->env.n_rcpts++] = (struct queue_rcpt){
            .address = str_take(&rcpt.address),
            .orig = rcpt.orig.len > 0 ? str_take(&rcpt.orig) : NULL,
            .dsn_orcpt = rcpt.dsn_orcpt.len > 0 ? str_take(&rcpt.dsn_orcpt) : NULL,
            .dsn_notify = rcpt.dsn_notify,
        };
    }
    str_free(&rcpt.address);
    str_free(&rcpt.orig);
    str_free(&rcpt.dsn_orcpt);
    return r;
}

static int receive_envelope(struct drop *d)
{
    int r = ipc_recv(d->client, &submit_shape, &d->submit);

    if (r == 0)
        r = receive_rcpts(d);
    if (r < 0)
        return r;
    struct queue_envelope *e = &d->env;

    queue_id_new(e->id);
    snprintf(d->result.queue_id, sizeof d->result.queue_id, "%s", e->id);
    e->arrival_us = clock_real_us();
    e->origin = SUBMIT_LOCAL;
    e->flags = d->submit.flags & (SUBMIT_8BIT | SUBMIT_SMTPUTF8 | SUBMIT_EXTRACT);
    e->sender = (char *)str_cstr(&d->submit.sender);
    e->dsn_ret = d->submit.dsn_ret;
    e->dsn_envid = d->submit.dsn_envid.len > 0 ? (char *)str_cstr(&d->submit.dsn_envid) : NULL;
    e->uid = getuid(); /* for postcat; pickup believes the file's owner only */
    r = queue_create(&d->dirs, QUEUE_MAILDROP, e, &d->writer);
    if (r < 0)
        refuse_errno(d, r);
    return 0;
}

static int receive_content(struct drop *d)
{
    int64_t limit = d->params->message_size_limit;
    uint64_t size = 0;

    for (;;) {
        struct span bytes;
        int r = ipc_recv_chunk(d->client, &bytes);

        if (r < 0)
            return r;
        if (bytes.len == 0)
            return 0;
        size += bytes.len;
        if (limit > 0 && size > (uint64_t)limit)
            refuse(d, SUBMIT_PERMANENT, "5.3.4", "message file too big");
        r = d->writer ? queue_write(d->writer, bytes) : 0;
        if (r < 0)
            refuse_errno(d, r);
    }
}

static void store(struct drop *d)
{
    if (!d->writer)
        return;
    d->result.size = queue_written(d->writer);
    int r = queue_commit(d->writer);

    if (r == 0)
        r = queue_publish(d->writer, &d->dirs, QUEUE_MAILDROP);
    if (r < 0)
        refuse_errno(d, r);
    else
        d->writer = NULL;
}

static int serve(struct drop *d)
{
    int r = receive_envelope(d);

    if (r == 0)
        r = receive_content(d);
    if (r < 0) {
        log_error_errno(r, "malformed or unfinished input; nothing stored");
        return EX_DATAERR;
    }
    store(d);
    ipc_send(d->client, &submit_result_shape, &d->result);
    ipc_flush(d->client);
    if (d->result.status != SUBMIT_OK)
        return d->result.status == SUBMIT_TEMPORARY ? EX_TEMPFAIL : EX_UNAVAILABLE;
    return EX_OK; /* stored; whether the caller has heard of it is his affair */
}

int main(int argc, char **argv)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = NULL;
    _cleanup_(params_free_ptr_) struct params *params = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    const char *option = NULL;
    _cleanup_(drop_done) struct drop d = {
        .dirs.fd = {-1, -1, -1, -1, -1, -1}
    };
    int c;

    close_range(STDERR_FILENO + 1, ~0u, 0);
    ignore_signals();
    umask(022);
    log_to_stderr("postdrop");
    while ((c = getopt(argc, argv, "c:rv")) != -1) {
        if (c == '?')
            log_fatal("usage: postdrop [-c config_dir] [-rv]");
        if (c == 'c')
            option = optarg;
    }
    _cleanup_free_ char *dir = choose_config(option);

    if (conf_load(dir, &conf, &err) < 0 || conf_params(conf, &params, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    int r = queue_dirs_open(params->queue_directory, 1u << QUEUE_MAILDROP, &d.dirs);

    if (r < 0)
        log_fatal("cannot enter %s/maildrop: %s; is postdrop set-gid?", params->queue_directory,
                  strerror(-r));
    d.params = params;
    d.client = ipc_new(stream_new(STDIN_FILENO));
    stream_set_timeout(ipc_stream(d.client), INPUT_TIMEOUT_MS);
    return serve(&d);
}
