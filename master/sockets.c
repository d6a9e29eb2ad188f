/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.c - the listening sockets, bound once and kept over reloads
 *
 * A reload binds what is new before it gives up what is old, so a wrong entry
 * changes nothing and an unchanged one never refuses a connection.
 *
 * Runs in: master, as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "master/master.h"

enum {
    BACKLOG = 4096,             /* the kernel cuts it at net.core.somaxconn */
    SOCKET_MODE = 0666,         /* directories and the callee decide who may call */
    BUSY_TRIES = 30,
    BUSY_PAUSE_MS = 100,
};

struct bound *sockets_find(const struct master *m, const char *key)
{
    for (size_t i = 0; i < m->n_bound; i++)
        if (strcmp(m->bound[i]->key, key) == 0)
            return m->bound[i];
    return NULL;
}

static int make_fifo(const char *path)
{
    unlink(path);
    if (mkfifo(path, SOCKET_MODE) < 0 || chmod(path, SOCKET_MODE) < 0)
        return -errno;
    /* Open for both, so that it never is at its end while nobody writes. */
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* listen_once - the instance lock is ours, so a socket that is there is stale */
static int listen_once(const struct endpoint *e)
{
    switch (e->type) {
    case SERVICE_INET:
        return socket_listen_inet(&e->addr, BACKLOG);
    case SERVICE_FIFO:
        return make_fifo(e->path);
    case SERVICE_UNIX:
    case SERVICE_PASS:
        unlink(e->path);
        return socket_listen_unix(e->path, SOCKET_MODE, BACKLOG);
    case SERVICE_UNIX_DGRAM:
        break;
    }
    return -EPROTONOSUPPORT;
}

/* listen_at - after a crash of master, servers of before hold the ports for a moment yet */
static int listen_at(const struct endpoint *e)
{
    const struct timespec pause = { .tv_nsec = BUSY_PAUSE_MS * 1000000L };
    int fd = listen_once(e);

    for (int i = 0; fd == -EADDRINUSE && i < BUSY_TRIES; i++) {
        nanosleep(&pause, NULL);
        fd = listen_once(e);
    }
    return fd;
}

static void bound_free(struct bound *b)
{
    close(b->fd);
    if (b->path_fd >= 0)
        close(b->path_fd);
    free(b->key);
    free(b);
}

static bool host_lacks(const struct endpoint *e, int error)
{
    return e->optional && (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL);
}

static int bind_one(struct master *m, const struct endpoint *e, struct str *err)
{
    if (sockets_find(m, e->key))
        return 0;
    int fd = listen_at(e);
    if (fd < 0 && host_lacks(e, fd))
        return 0;
    if (fd < 0) {
        str_addf(err, "cannot listen at %s: %s", e->key, strerror(-fd));
        return fd;
    }
    struct bound *b = mem_new(struct bound);
    b->key = mem_strdup(e->key);
    b->fd = fd;
    b->path_fd = e->type == SERVICE_UNIX ? open(e->path, O_PATH | O_CLOEXEC | O_NOFOLLOW) : -1;
    MEM_GROW(m->bound, m->n_bound, m->cap_bound);
    m->bound[m->n_bound++] = b;
    return 0;
}

int sockets_bind(struct master *m, const struct plan *plan, struct str *err)
{
    const size_t before = m->n_bound;

    for (size_t i = 0; i < plan->len; i++)
        for (size_t k = 0; k < plan->services[i].n_endpoints; k++) {
            int r = bind_one(m, &plan->services[i].endpoints[k], err);

            if (r == 0)
                continue;
            while (m->n_bound > before)
                bound_free(m->bound[--m->n_bound]);
            return r;
        }
    for (size_t i = 0; i < m->n_bound; i++)
        m->bound[i]->wanted = plan_has_endpoint(plan, m->bound[i]->key);
    return 0;
}

void sockets_close_unwanted(struct master *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_bound; i++) {
        if (m->bound[i]->wanted)
            m->bound[kept++] = m->bound[i];
        else
            bound_free(m->bound[i]);
    }
    m->n_bound = kept;
}
