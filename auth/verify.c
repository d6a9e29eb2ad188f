/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - the work of checking a password, done once for all who ask the same at the same time
 *
 * A hundred mail programs that come back after a restart, or the many connections of one, show the same password before
 * the first of them is through and cache.c can know it. They wait for that first one and share what it finds.
 *
 * Runs in: auth; name and password are hostile. Logs nothing.
 */
#include <errno.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/secret.h"
#include "sasl/password.h"

/* One check under way; it goes with the last who wants its result. */
struct verification {
    struct list link;           /* in auth->running, until it is done */
    struct str user, stored, password;
    struct waitq end;
    size_t users;
    bool done;
    int result;
};

static int run(void *arg)
{
    const struct verification *v = arg;

    return password_verify(str_span(&v->stored), str_span(&v->password));
}

static struct verification *find(struct auth *a, struct span user, struct span stored, struct span password)
{
    struct verification *v;

    LIST_FOREACH (v, &a->running, struct verification, link)
        if (span_eq(str_span(&v->user), user) && span_eq(str_span(&v->stored), stored) &&
            span_eq(str_span(&v->password), password))
            return v;
    return NULL;
}

static struct verification *add(struct auth *a, struct span user, struct span stored, struct span password)
{
    struct verification *v = mem_new(struct verification);

    str_set(&v->user, user);
    str_set(&v->stored, stored);
    str_set(&v->password, password);
    waitq_init(&v->end);
    list_push_back(&a->running, &v->link);
    return v;
}

static void release(struct verification *v)
{
    if (--v->users > 0)
        return;
    str_free(&v->user);
    str_free(&v->stored);
    secret_free(&v->password);
    free(v);
}

int verify_password(struct auth *a, struct span user, struct span stored, struct span password)
{
    bool shares = a->params->auth_cache_ttl > 0;
    struct verification *v = shares ? find(a, user, stored, password) : NULL;
    int r = 0;

    if (v) {
        v->users++;
        while (r == 0 && !v->done)
            r = waitq_wait(&v->end, CLOCK_NEVER);
    } else {
        v = add(a, user, stored, password);
        v->users = 1;
        a->hashed++;
        v->result = offload(run, v);
        v->done = true;
        list_remove(&v->link);
        waitq_wake(&v->end, SIZE_MAX);
    }
    if (r == 0)
        r = v->result;
    release(v);
    return r;
}
