/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.c - take new settings over without refusing a connection
 *
 * Everything that can fail comes first: reading, checking, binding what is new.
 * Then the plans are exchanged. Sockets that both have stay open, the children
 * of the old plan drain, and new ones start at the next connection. The settings are said to be in
 * use when the last child of the old plan has said that it takes no more connections.
 *
 * Runs in: master.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "daemon/master_link.h"
#include "master/master.h"

enum { RETIRE_MS = 5000 };      /* so long the report waits for processes that say nothing */

/* inherit - what a service keeps over a reload: its children, who retire, and what it knows */
static void inherit(struct service_state *to, struct service_state *from)
{
    struct child *c;

    LIST_FOREACH(c, &from->children, struct child, link) {
        list_remove(&c->link);
        list_push_back(&to->children, &c->link);
        c->service = to;
    }
    to->n_retiring += from->n_retiring;
    to->n_taking += from->n_taking;
    to->n_full += from->n_full;
    to->n_aside += from->n_aside;
    to->for_all = from->for_all;
    to->used = from->used;
}

/* drop - a service that is not in the new plan; it stays until its last child has ended */
static void drop(struct master *m, struct service_state *s)
{
    if (list_empty(&s->children)) {
        service_free(s);
        return;
    }
    s->planned = NULL;
    s->n_sockets = 0;
    MEM_GROW(m->dropped, m->n_dropped, m->cap_dropped);
    m->dropped[m->n_dropped++] = s;
}

static void forget_dropped(struct master *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_dropped; i++) {
        if (list_empty(&m->dropped[i]->children))
            service_free(m->dropped[i]);
        else
            m->dropped[kept++] = m->dropped[i];
    }
    m->n_dropped = kept;
}

/* exchange - the services of the new plan for those of the old */
static void exchange(struct master *m, const struct plan *plan)
{
    struct service_state **old = m->services;
    const size_t n_old = m->n_services;

    for (size_t i = 0; i < n_old; i++)
        service_unwatch(m, old[i]);
    m->services = mem_new_n(struct service_state *, plan->len);
    for (m->n_services = 0; m->n_services < plan->len; m->n_services++)
        m->services[m->n_services] = service_new(m, &plan->services[m->n_services]);
    for (size_t i = 0; i < n_old; i++) {
        const struct planned *same = plan_find(plan, old[i]->planned->name, old[i]->planned->type);

        if (same) {
            inherit(m->services[same - plan->services], old[i]);
            list_init(&old[i]->children);
        }
        drop(m, old[i]);
    }
    free(old);
}

int apply_settings(struct master *m, struct settings *s, struct str *err)
{
    int r = sockets_bind(m, &s->plan, err);
    if (r == 0)
        r = log_open(m, s->params, err);
    if (r < 0)
        return r;
    child_retire_all(m, NOTE_DRAIN);
    exchange(m, &s->plan);
    forget_dropped(m);
    sockets_close_unwanted(m);
    settings_done(&(struct settings){ m->conf, m->params, m->plan });
    m->conf = TAKE_PTR(s->conf);
    m->params = TAKE_PTR(s->params);
    m->plan = TAKE(s->plan, ((struct plan){ NULL, 0 }));
    return 0;
}

/* log_lines - what plan_make found worth telling */
static void log_notes(const struct str *notes)
{
    struct span rest = str_span(notes);

    while (rest.len > 0) {
        const struct span line = span_cut(&rest, '\n');

        log_warn(SPAN_FMT, SPAN_ARG(line));
    }
}

/* report - for postern(1), which waits for it */
static void report(struct master *m, const char *outcome)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_addf(&text, "reload %u %s", ++m->n_reloads, outcome);
    lock_write(m->lock_fd, str_cstr(&text));
}

void reload(struct master *m)
{
    _cleanup_(settings_done) struct settings s = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT;

    m->reload_wanted = false;
    int r = settings_load(m->config_directory, &s, &notes, &err);
    if (r == 0)
        r = settings_check(&s, m->single_user, &err);
    if (r == 0 && strcmp(s.params->queue_directory, m->params->queue_directory) != 0) {
        str_add_str(&err, "queue_directory cannot change while the mail system runs");
        r = -EINVAL;
    }
    if (r == 0)
        r = apply_settings(m, &s, &err);
    if (r < 0) {
        log_error("reload failed, the old configuration stays in use: %s", str_cstr(&err));
        report(m, "refused");
        return;
    }
    log_notes(&notes);
    log_info("reload -- version %s, configuration %s", POSTERN_VERSION, m->config_directory);
    service_update_all(m);
    m->report_by = clock_deadline_ms(RETIRE_MS);
}

void reload_report(struct master *m)
{
    if (m->report_by == CLOCK_NEVER || (child_any_to_retire(m) && clock_ms() < m->report_by))
        return;
    m->report_by = CLOCK_NEVER;
    report(m, "taken");
}
