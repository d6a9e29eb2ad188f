/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - what main.cf says of a transport
 *
 * Runs in: qmgr.
 */
#include "qmgr/limits.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/log.h"

#define DELIVER_RCPTS_MAX   100000 /* struct deliver */
#define TIME_LIMIT_GRACE_MS 2000

struct reader {
    const struct conf *conf;
    const char *transport;
};

static void name_of(const struct reader *rd, const char *suffix, struct str *ret)
{
    str_addf(ret, "%s_%s", rd->transport, suffix);
}

static void complain(const char *name, const char *why)
{
    log_warn("bad value of %s, using the default: %s", name, why);
}

static uint32_t read_number(const struct reader *rd, const char *suffix, int64_t fallback)
{
    _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;
    int64_t n;

    name_of(rd, suffix, &name);
    if (conf_get_int(rd->conf, str_cstr(&name), fallback, &n, &err) == 0 && n >= 0 && n <= UINT32_MAX)
        return (uint32_t)n;
    complain(str_cstr(&name), err.len > 0 ? str_cstr(&err) : "out of range");
    return (uint32_t)fallback;
}

static uint64_t read_ms(const struct reader *rd, const char *suffix, int64_t fallback)
{
    _cleanup_(str_free) struct str name = STR_INIT, err = STR_INIT;
    int64_t seconds;

    name_of(rd, suffix, &name);
    if (conf_get_time(rd->conf, str_cstr(&name), fallback, &seconds, &err) == 0 && seconds >= 0)
        return (uint64_t)seconds * 1000;
    complain(str_cstr(&name), err.len > 0 ? str_cstr(&err) : "out of range");
    return (uint64_t)fallback * 1000;
}

/* default_NAME applies where TRANSPORT_NAME is not set. */
static void read_feedback(const struct reader *rd, const char *suffix, const char *fallback,
                          struct feedback *ret)
{
    _cleanup_(str_free) struct str name = STR_INIT, value = STR_INIT, err = STR_INIT;

    name_of(rd, suffix, &name);
    int r = conf_get(rd->conf, str_cstr(&name), &value, &err);

    if (r == 0 && feedback_parse(str_span(&value), ret) == 0)
        return;
    if (r != -ENOENT)
        complain(str_cstr(&name), "expected a number up to 1, number/concurrency or number/sqrt_concurrency");
    if (feedback_parse(span_of(fallback), ret) == 0)
        return;
    complain(suffix, "expected a number up to 1, number/concurrency or number/sqrt_concurrency");
    *ret = (struct feedback){ .milli = 1000 };
}

static bool is_set(const struct reader *rd, const char *suffix)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    name_of(rd, suffix, &name);
    return conf_is_set(rd->conf, str_cstr(&name));
}

/* Who sets a limit means it; who sets a ceiling as well means that. */
static uint32_t read_ceiling(const struct reader *rd, const struct params *p)
{
    static const char ceiling[] = "destination_concurrency_ceiling";
    static const char limit[] = "destination_concurrency_limit";
    bool limited = is_set(rd, limit) || conf_is_set(rd->conf, "default_destination_concurrency_limit");

    if (limited && !is_set(rd, ceiling) &&
        !conf_is_set(rd->conf, "default_destination_concurrency_ceiling"))
        return 0;
    return read_number(rd, ceiling, p->default_destination_concurrency_ceiling);
}

/* A delivery has a connection, and perhaps a file of its own. */
static uint32_t cut_by_descriptors(uint32_t total)
{
    struct rlimit fds = { .rlim_cur = 1024 };

    getrlimit(RLIMIT_NOFILE, &fds);
    uint32_t room = fds.rlim_cur / 4 < UINT32_MAX ? (uint32_t)(fds.rlim_cur / 4) : UINT32_MAX;

    return total > 0 && total < room ? total : room;
}

static void read_window(const struct reader *rd, const struct params *p, struct window_limits *ret)
{
    ret->limit = read_number(rd, "destination_concurrency_limit", p->default_destination_concurrency_limit);
    ret->initial = read_number(rd, "initial_destination_concurrency", p->initial_destination_concurrency);
    if (ret->initial == 0)
        ret->initial = 1;
    ret->ceiling = read_ceiling(rd, p);
    ret->cohorts_milli =
        1000 * read_number(rd, "destination_concurrency_failed_cohort_limit",
                           p->default_destination_concurrency_failed_cohort_limit);
    read_feedback(rd, "destination_concurrency_positive_feedback",
                  p->default_destination_concurrency_positive_feedback, &ret->positive);
    read_feedback(rd, "destination_concurrency_negative_feedback",
                  p->default_destination_concurrency_negative_feedback, &ret->negative);
}

void limits_of_transport(const char *transport, struct sched_limits *ret, void *arg)
{
    const struct server *sv = arg;
    const struct params *p = sv->params;
    const struct reader rd = { sv->conf, transport };

    read_window(&rd, p, &ret->window);
    ret->rcpts = read_number(&rd, "destination_recipient_limit", p->default_destination_recipient_limit);
    if (ret->rcpts == 0 || ret->rcpts > DELIVER_RCPTS_MAX)
        ret->rcpts = DELIVER_RCPTS_MAX;
    ret->total =
        cut_by_descriptors(read_number(&rd, "delivery_limit", p->default_transport_delivery_limit));
    ret->dest_delay_ms = read_ms(&rd, "destination_rate_delay", p->default_destination_rate_delay);
    ret->transport_delay_ms = read_ms(&rd, "transport_rate_delay", p->default_transport_rate_delay);
    ret->delivery_ms = read_ms(&rd, "time_limit", 0);
    if (ret->delivery_ms > 0) /* an agent that keeps the limit itself, as pipe(8) does, comes first */
        ret->delivery_ms += ret->delivery_ms / 4 + TIME_LIMIT_GRACE_MS;
}

bool limits_deferred(const struct params *p, const char *transport)
{
    struct span list = span_of(p->defer_transports), name;

    while (span_word(&list, ", \t\r\n", &name))
        if (span_eq_str(name, transport))
            return true;
    return false;
}
