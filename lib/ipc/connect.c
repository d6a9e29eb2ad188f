/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.c - reach a service: through the descriptor that master handed over, or by its path
 *
 * A daemon has an O_PATH descriptor of each socket that the caller table lets it
 * call, and connects through /proc/self/fd: the socket's directory is closed to
 * it, so what it was not handed it cannot reach. A tool goes by path.
 *
 * Runs in: every program. Logs nothing.
 */
#include "ipc/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "io/socket.h"

enum { FD_MAX = 1 << 20 };

/* Of the process, as the descriptors are. */
static struct str directory = { NULL, 0, 0 };

void ipc_set_directory(const char *queue_directory)
{
    str_set(&directory, span_of(queue_directory));
}

/* handed_fd - the descriptor for service in "cleanup=6 auth=7"; -EACCES */
static int handed_fd(struct span list, const char *service)
{
    struct span item;
    uint32_t fd;

    while (span_word(&list, " ", &item)) {
        struct span name = span_cut(&item, '=');

        if (span_eq_str(name, service) && span_u32(item, FD_MAX, &fd) == 0)
            return (int)fd;
    }
    return -EACCES;
}

/* connect_below - to queue_directory/sub/service */
static int connect_below(const char *sub, const char *service, uint64_t deadline)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    str_addf(&path, "%s/%s/%s", str_cstr(&directory), sub, service);
    return socket_connect_unix(str_cstr(&path), deadline);
}

static int connect_service(const char *service, uint64_t deadline)
{
    const char *handed = getenv("POSTERN_SERVICES");

    if (handed) {
        int fd = handed_fd(span_of(handed), service);

        return fd < 0 ? fd : socket_connect_path_fd(fd, deadline);
    }
    int fd = connect_below("public", service, deadline);
    if (fd != -ENOENT)
        return fd;
    return connect_below("private", service, deadline);
}

int ipc_connect(const char *service, uint64_t deadline, struct ipc **ret)
{
    int fd = connect_service(service, deadline);

    if (fd < 0)
        return fd;
    *ret = ipc_new(stream_new(fd));
    return 0;
}
