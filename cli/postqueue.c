/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postqueue.c - look at the queue, ask for deliveries
 *
 *     postqueue -p        list the queue (also when called as mailq)
 *     postqueue -j        the same, a JSON object a line
 *     postqueue -d        destinations with recipients waiting, by age in minutes (the columns of qshape), deliveries
 *                         in flight and allowed, state and last error; -d -j as JSON, an object a line
 *     postqueue -f        try everything now
 *     postqueue -i ID     try one message now
 *     postqueue -s SITE   try the mail for one domain now
 *
 * Asks qmgr over its public socket, so it needs no privilege. When the suite is down whoever may read the queue
 * still gets a listing.
 *
 * Runs in: a terminal or a script, as any user.
 */
#include <errno.h>
#include <getopt.h>

#include "base/log.h"
#include "base/own.h"
#include "cli/queue_client.h"
#include "cli/queue_print.h"

#define EX_USAGE       64
#define EX_UNAVAILABLE 69

static const char usage_text[] =
    "usage: postqueue [-c config_dir] [-v] -d [-j] | -f | -i queue_id | -j | -p | -s site\n"
    "       -d  what waits for each destination, by age in minutes; with -j as JSON\n";

_Noreturn static void usage(void)
{
    fputs(usage_text, stderr);
    exit(EX_USAGE);
}

static struct params *load_params(const char *dir)
{
    _cleanup_(conf_free_ptr_) struct conf *c = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    struct params *p = NULL;

    if (conf_load(dir, &c, &err) < 0 || conf_params(c, &p, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    return p;
}

enum reach { QMGR_ONLY, QMGR_OR_DIRECTORIES };

static void open_client(const struct params *p, struct queue_client *c, const char *what,
                        enum reach reach)
{
    int r = queue_client_open(p, c);

    if (r == -EBUSY)
        log_fatal("%s - the queue manager does not answer", what);
    if (r < 0 || (!c->qmgr && reach == QMGR_ONLY)) {
        log_error("%s - mail system is down", what);
        log_flush();
        exit(EX_UNAVAILABLE);
    }
    if (!c->qmgr)
        log_warn("Mail system is down -- accessing queue directly");
}

/* ---- listing ---- */

#define OUT_MAX (64 << 10) /* bytes that wait for write(2) */

struct printer {
    const struct params *params;
    struct queue_totals totals;
    struct str out;
};

static int write_out(struct printer *pr)
{
    bool written = pr->out.len == 0 || fwrite(pr->out.data, 1, pr->out.len, stdout) == pr->out.len;

    str_reset(&pr->out);
    return written ? 0 : -EPIPE;
}

static int write_full(struct printer *pr)
{
    return pr->out.len < OUT_MAX ? 0 : write_out(pr);
}

static int print_text(const struct queue_item *item, void *arg)
{
    struct printer *pr = arg;

    queue_print_text(&pr->out, item, pr->params->empty_address_recipient, &pr->totals);
    return write_full(pr);
}

static int print_json(const struct queue_item *item, void *arg)
{
    struct printer *pr = arg;

    queue_print_json(&pr->out, item, pr->params->empty_address_recipient);
    return write_full(pr);
}

static int list(const struct params *p, int (*print)(const struct queue_item *item, void *arg))
{
    struct printer pr = { .params = p, .out = STR_INIT };
    struct queue_client c;

    open_client(p, &c, "Queue report unavailable", QMGR_OR_DIRECTORIES);
    int r = queue_client_list(&c, print, &pr);

    queue_client_close(&c);
    if (r == -EPERM)
        log_fatal("%s", c.refusal);
    if (r < 0)
        log_warn_errno(r, "the listing is not complete");
    if (print == print_text)
        queue_print_text_end(&pr.out, &pr.totals);
    write_out(&pr);
    str_free(&pr.out);
    return r < 0 ? 1 : 0;
}

static int show(const struct params *p, const char *arg)
{
    (void)arg;
    return list(p, print_text);
}

static int show_json(const struct params *p, const char *arg)
{
    (void)arg;
    return list(p, print_json);
}

/* ---- destinations ---- */

static void print_destination(const struct queue_destination *d, void *arg)
{
    struct printer *pr = arg;

    if (pr->totals.messages++ == 0)
        queue_print_destination(&pr->out, NULL);
    queue_print_destination(&pr->out, d);
    write_out(pr);
}

static void print_destination_json(const struct queue_destination *d, void *arg)
{
    struct printer *pr = arg;

    queue_print_destination_json(&pr->out, d);
    write_out(pr);
}

static int list_destinations(const struct params *p,
                             void (*print)(const struct queue_destination *d, void *arg))
{
    struct printer pr = { .params = p, .out = STR_INIT };
    struct queue_client c;

    open_client(p, &c, "Queue report unavailable", QMGR_ONLY);
    int r = queue_client_destinations(&c, print, &pr);

    queue_client_close(&c);
    str_free(&pr.out);
    if (r == -EPERM)
        log_fatal("%s", c.refusal);
    if (r < 0)
        log_warn_errno(r, "the listing is not complete");
    return r < 0 ? 1 : 0;
}

static int show_destinations(const struct params *p, const char *arg)
{
    (void)arg;
    return list_destinations(p, print_destination);
}

static int show_destinations_json(const struct params *p, const char *arg)
{
    (void)arg;
    return list_destinations(p, print_destination_json);
}

/* ---- asking for deliveries ---- */

static int act(const struct params *p, const struct queue_command *cmd, bool must_match)
{
    struct queue_client c;

    open_client(p, &c, "Cannot flush mail queue", QMGR_ONLY);
    int r = queue_client_act(&c, cmd);

    queue_client_close(&c);
    if (r == -EPERM)
        log_fatal("%s", c.refusal);
    if (r < 0) {
        log_error_errno(r, "Cannot flush mail queue");
        return EX_UNAVAILABLE;
    }
    if (r == 0 && must_match) {
        log_warn("no message %s in the queue", cmd->queue_id);
        return 1;
    }
    return 0;
}

static int flush_all(const struct params *p, const char *arg)
{
    struct queue_command cmd = { .action = QUEUE_DO_FLUSH, .queue_id = "ALL" };

    (void)arg;
    return act(p, &cmd, false);
}

static int flush_one(const struct params *p, const char *id)
{
    struct queue_command cmd = { .action = QUEUE_DO_FLUSH };

    if (!queue_id_valid(span_of(id)))
        log_fatal("Cannot flush queue ID - invalid name: \"%s\"", id);
    snprintf(cmd.queue_id, sizeof cmd.queue_id, "%s", id);
    return act(p, &cmd, true);
}

static int flush_site(const struct params *p, const char *site)
{
    struct queue_command cmd = { .action = QUEUE_DO_FLUSH_SITE };

    if (!*site || strlen(site) >= sizeof cmd.site)
        log_fatal("Cannot flush mail queue - invalid destination: \"%.100s\"", site);
    snprintf(cmd.site, sizeof cmd.site, "%s", site);
    return act(p, &cmd, false);
}

/* ---- arguments ---- */

#define DESTINATIONS_JSON 256 /* -d and -j */

static const struct mode {
    int option;
    int (*run)(const struct params *p, const char *arg);
} modes[] = {
    { 'p', show }, { 'j', show_json }, { 'd', show_destinations }, 
    { DESTINATIONS_JSON, show_destinations_json }, { 'f', flush_all }, { 'i', flush_one }, { 's', flush_site },
};

static const struct mode *find_mode(int option)
{
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (modes[i].option == option)
            return &modes[i];
    return NULL;
}

/* One mode, but that -d and -j go together; NULL: no such. */
static const struct mode *join_modes(const struct mode *before, const struct mode *m)
{
    if (!before || before == m)
        return m;
    if ((before->option == 'd' && m->option == 'j') || (before->option == 'j' && m->option == 'd'))
        return find_mode(DESTINATIONS_JSON);
    return NULL;
}

static bool called_mailq(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');

    return strcmp(slash ? slash + 1 : argv0, "mailq") == 0;
}

int main(int argc, char **argv)
{
    const struct mode *mode = called_mailq(argv[0]) ? find_mode('p') : NULL;
    const char *config_dir = NULL, *arg = NULL;

    log_to_stderr("postqueue");
    for (int opt; (opt = getopt(argc, argv, "c:dfi:jps:v")) != -1;) {
        const struct mode *m = find_mode(opt);

        if (opt == 'c')
            config_dir = optarg;
        else if (opt == 'v')
            log_set_verbose(1);
        else if (!m || !(mode = join_modes(mode, m)))
            usage();
        if (m && optarg)
            arg = optarg;
    }
    if (!mode || optind < argc)
        usage();
    _cleanup_(params_free_ptr_) struct params *p = load_params(config_dir);

    int status = mode->run(p, arg);

    log_flush();
    return fflush(stdout) == 0 ? status : 1;
}
