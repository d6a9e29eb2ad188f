/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postsuper.c - the administrator's hand in the queue
 *
 *     postsuper -d ID   delete            -h ID   put on hold         -H ID   release from hold
 *               -r ID   requeue           -e ID   expire              -f ID   expire, held mail as well
 *               -s, -S  repair names      -p      purge leftovers     (default: -s -p)
 *     operands          queues meant by ALL, or looked at by -s and -p: hold incoming active deferred maildrop
 *
 * ID may be "-", then ids are read from stdin, one a line; or ALL. Acts through qmgr, or on the directories while
 * the suite is down.
 *
 * Runs in: a terminal or a script, as root (or who owns the queue in single-user mode).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "cli/queue_client.h"
#include "cli/queue_repair.h"

#define EX_USAGE 64

enum { ON_INCOMING = 1u << QUEUE_STATE_INCOMING, ON_ACTIVE = 1u << QUEUE_STATE_ACTIVE,
       ON_DEFERRED = 1u << QUEUE_STATE_DEFERRED, ON_HOLD = 1u << QUEUE_STATE_HOLD,
       ON_MAILDROP = 1u << QUEUE_STATE_MAILDROP,
       ON_LIVE = ON_INCOMING | ON_ACTIVE | ON_DEFERRED };

static const struct action {
    int option;
    unsigned states;                        /* that ALL means, unless operands say otherwise */
    uint32_t steps[2];                      /* enum queue_action, done one after the other */
    size_t n_steps;
    const char *line, *total;
} actions[] = {
    { 'd', ON_LIVE | ON_HOLD | ON_MAILDROP, { QUEUE_DO_DELETE },                   1, "removed",            "Deleted" },
    { 'h', ON_LIVE,                         { QUEUE_DO_HOLD },                     1, "placed on hold",     "Placed on hold" },
    { 'H', ON_HOLD,                         { QUEUE_DO_RELEASE },                  1, "released from hold", "Released from hold" },
    { 'r', ON_LIVE | ON_HOLD,               { QUEUE_DO_REQUEUE },                  1, "requeued",           "Requeued" },
    { 'e', ON_LIVE | ON_HOLD,               { QUEUE_DO_EXPIRE },                   1, "expired",            "Force-expired" },
    { 'f', ON_LIVE | ON_HOLD,               { QUEUE_DO_EXPIRE, QUEUE_DO_RELEASE }, 2, "expired",            "Force-expired" },
};

static const char usage_text[] =
    "usage: postsuper [-c config_dir] [-d queue_id] [-e queue_id] [-f queue_id] [-h queue_id]\n"
    "                 [-H queue_id] [-r queue_id] [-p] [-s] [-S] [-v] [queue ...]\n";

_Noreturn static void usage(void)
{
    fputs(usage_text, stderr);
    exit(EX_USAGE);
}

struct super {
    const struct params *params;
    struct queue_client client;
    unsigned operands;                      /* states; 0: none were given */
    uint32_t count[ARRAY_LEN(actions)];
};

static void count_one(struct super *su, const struct action *a, const char *id)
{
    su->count[a - actions]++;
    log_info("%s: %s", id, a->line);
}

/* A message in maildrop/ is not qmgr's yet. */
static void delete_in_maildrop(struct super *su, const struct action *a, const char *id)
{
    struct queue_dirs d;

    if (a->option != 'd' || !su->client.qmgr ||
        queue_dirs_open(su->params->queue_directory, 1u << QUEUE_MAILDROP, &d) < 0)
        return;
    if (queue_unlink(&d, QUEUE_MAILDROP, id) == 0)
        count_one(su, a, id);
    queue_dirs_close(&d);
}

/* ---- messages by their ids ---- */

struct selection {
    const struct action *action;
    unsigned states;
    char (*ids)[QUEUE_ID_MAX + 1];
    bool *done;                             /* of each */
    size_t len, cap;
};

static void selection_done(struct selection *s)
{
    free(s->ids);
    free(s->done);
}

static void select_id(struct selection *s, const char *id)
{
    MEM_GROW(s->ids, s->len, s->cap);
    snprintf(s->ids[s->len++], QUEUE_ID_MAX + 1, "%s", id);
}

static void note_result(size_t i, int result, void *arg)
{
    struct selection *s = arg;

    if (result > 0)
        s->done[i] = true;
    else if (result < 0 && result != -EPERM)
        log_warn_errno(result, "%s: not %s", s->ids[i], s->action->line);
}

static void act_on_selected(struct super *su, const struct action *a, struct selection *s)
{
    int r = 0;

    s->action = a;
    s->done = mem_new_n(bool, s->len ? s->len : 1);
    for (size_t i = 0; i < a->n_steps && r == 0; i++) {
        const struct queue_command cmd = { .action = a->steps[i] };

        r = queue_client_act_on_many(&su->client, &cmd, s->ids, s->len, note_result, s);
    }
    if (r == -EPERM)
        log_fatal("use of this command is reserved for the superuser");
    if (r < 0)
        log_warn("not all messages were %s", a->line);
    for (size_t i = 0; i < s->len; i++)
        if (s->done[i])
            count_one(su, a, s->ids[i]);
        else
            delete_in_maildrop(su, a, s->ids[i]);
}

static void act_on_stdin(struct super *su, const struct action *a)
{
    _cleanup_(selection_done) struct selection s = { 0 };
    char line[256];

    while (fgets(line, sizeof line, stdin)) {
        _cleanup_free_ char *id = mem_dup_span(span_trim(span_of(line)));

        if (queue_id_valid(span_of(id)))
            select_id(&s, id);
        else if (*id)
            log_warn("invalid queue ID: \"%.40s\"", id);
    }
    act_on_selected(su, a, &s);
}

static void act_by_id(struct super *su, const struct action *a, const char *id)
{
    _cleanup_(selection_done) struct selection s = { 0 };

    if (!queue_id_valid(span_of(id))) {
        log_warn("invalid queue ID: \"%.40s\"", id);
        return;
    }
    select_id(&s, id);
    act_on_selected(su, a, &s);
}

static int select_item(const struct queue_item *item, void *arg)
{
    struct selection *s = arg;

    if (s->states & 1u << item->state)
        select_id(s, item->id);
    return 0;
}

static void act_on_all(struct super *su, const struct action *a)
{
    _cleanup_(selection_done) struct selection s = {
        .states = su->operands ? su->operands & a->states : a->states
    };
    int r = queue_client_list(&su->client, select_item, &s);

    if (r < 0)
        log_warn_errno(r, "the listing of the queue is not complete");
    act_on_selected(su, a, &s);
}

static void run_action(struct super *su, const struct action *a, const char *arg)
{
    if (strcmp(arg, "-") == 0)
        act_on_stdin(su, a);
    else if (strcmp(arg, "ALL") == 0)
        act_on_all(su, a);
    else
        act_by_id(su, a, arg);
}

static void print_totals(const struct super *su)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (su->count[i] > 0)
            log_info("%s: %u message%s", actions[i].total, su->count[i],
                     su->count[i] == 1 ? "" : "s");
}

/* ---- arguments ---- */

static const struct action *find_action(int option)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (actions[i].option == option)
            return &actions[i];
    return NULL;
}

struct wish {
    const struct action *action;
    const char *arg;
};

struct arguments {
    const char *config_dir;
    struct wish *wishes;
    size_t n_wishes, cap;
    unsigned repair;                        /* enum queue_repair */
    unsigned operands;
};

static void parse_option(struct arguments *args, int opt)
{
    const struct action *a = find_action(opt);

    if (a) {
        MEM_GROW(args->wishes, args->n_wishes, args->cap);
        args->wishes[args->n_wishes++] = (struct wish){ a, optarg };
        return;
    }
    switch (opt) {
    case 'c':
        args->config_dir = optarg;
        return;
    case 'p':
        args->repair |= REPAIR_PURGE;
        return;
    case 's':
    case 'S':
        args->repair |= REPAIR_NAMES;
        return;
    case 'v':
        log_set_verbose(1);
        return;
    }
    usage();
}

static void parse_arguments(struct arguments *args, int argc, char **argv)
{
    for (int opt; (opt = getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) != -1;)
        parse_option(args, opt);
    for (; optind < argc; optind++) {
        int state = queue_state_find(span_of(argv[optind]));

        if (state < 0)
            log_fatal("unknown queue \"%s\": hold, incoming, active, deferred or maildrop",
                      argv[optind]);
        args->operands |= 1u << state;
    }
    if (args->n_wishes == 0 && args->repair == 0)
        args->repair = REPAIR_NAMES | REPAIR_PURGE;
}

static void load_params(const char *dir, struct params **ret)
{
    _cleanup_(conf_free_ptr_) struct conf *c = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;

    if (conf_load(dir, &c, &err) < 0 || conf_params(c, ret, &err) < 0)
        log_fatal("%s", str_cstr(&err));
}

int main(int argc, char **argv)
{
    struct arguments args = { 0 };
    _cleanup_(params_free_ptr_) struct params *params = NULL;

    log_to_stderr("postsuper");
    parse_arguments(&args, argc, argv);
    load_params(args.config_dir, &params);
    struct super su = { .params = params, .operands = args.operands };
    int r = queue_client_open(params, &su.client);

    if (r < 0)
        log_fatal("cannot use the queue below %s: %s", params->queue_directory, strerror(-r));
    for (size_t i = 0; i < args.n_wishes; i++)
        run_action(&su, args.wishes[i].action, args.wishes[i].arg);
    if (args.repair)
        queue_repair(params, &su.client, args.repair);
    print_totals(&su);
    log_flush();
    queue_client_close(&su.client);
    free(args.wishes);
    return 0;
}
