/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - open a table or certificate again for a server whose sandbox keeps it out of reach
 *
 * A server names the files that it has read while it is still privileged, once. Later it
 * asks for one by number and gets a read-only descriptor of what has that name
 * now, and so nothing that its next process could not read at its start.
 *
 * Runs in: master. Requests may come from a process that has been taken over.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/own.h"
#include "daemon/master_link.h"
#include "master/master.h"

int files_register(struct child *c, struct span names)
{
    if (c->files_known || (names.len > 0 && names.ptr[names.len - 1] != '\0'))
        return -EINVAL;
    c->files_known = true;
    str_set(&c->files, names);
    return 0;
}

/* find_name - the file with this number; NULL */
static const char *find_name(const struct child *c, unsigned number)
{
    struct span names = str_span(&c->files);

    while (names.len > 0) {
        const char *name = span_cut(&names, '\0').ptr;

        if (number-- == 0)
            return name;
    }
    return NULL;
}

static int open_file(const char *name)
{
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -EINVAL;
}

/* send_answer - if it cannot be sent, the server asks again */
static void send_answer(int to, struct master_note note, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    struct iovec iov = { &note, sizeof note };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
    }
    if (sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
}

int files_hand_over(const struct child *c, unsigned number)
{
    const char *name = find_name(c, number);

    if (!name)
        return -EINVAL;
    _cleanup_close_ int fd = open_file(name);
    const struct master_note answer = { NOTE_FILE, (uint8_t)(fd < 0 ? -fd : 0), (uint16_t)number };
    send_answer(c->fd, answer, fd);
    return 0;
}
