/* SPDX-License-Identifier: Apache-2.0 */
/* pop3d_session_fuzz.c - a client's whole session on a maildrop that is made anew after some inputs */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/loop.h"
#include "pop3d/pop3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16384, INPUTS_A_MAILDROP = 100 };

static const char *const messages[] = {
    "Subject: a\n\n.\n..\ntext\n", "Subject: CRLF\r\n\r\n.x\r\n", "no end", "", "\n", "Subject: b\n\nline\rwith\r\r\nCRs\r",
};

static char directory[64];

struct talk {
    struct span input;
    int server_fd, client_fd;
};

static void serve(void *arg)
{
    struct talk *t = arg;
    struct pop3 s = { .client = stream_new(t->server_fd), .uidl_format = "%08Xu%08Xv", .line_limit = 255, .bad_limit = 20 };
    const char *why;

    pop3_serve(&s, directory, &why);
    stream_free(s.client);
    pop3_done(&s);
}

static void speak(void *arg)
{
    struct talk *t = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(t->client_fd);
    struct span got;

    stream_write(st, t->input);
    stream_close_write(st);
    while (stream_peek(st, &got) == 0)
        stream_consume(st, got.len);
}

static void remove_maildrop(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", directory);
    if (directory[0] && system(command) != 0)
        abort();
    directory[0] = '\0';
}

static void make_maildrop(void)
{
    static const char *const parts[] = { "", "cur", "new", "tmp" };
    static bool registered;
    char path[160];

    if (!registered)
        atexit(remove_maildrop);
    registered = true;
    remove_maildrop();
    snprintf(directory, sizeof directory, "%s/pop3d_fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory))
        abort();
    for (size_t i = 1; i < ARRAY_LEN(parts); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, parts[i]);
        if (mkdir(path, 0700) < 0)
            abort();
    }
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        snprintf(path, sizeof path, "%s/cur/%zu.M%zuP1.host:2,", directory, 1000 + i, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, messages[i], strlen(messages[i])) < 0)
            abort();
        close(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs;
    struct talk t = { .input = span_make((const char *)data, size) };
    int pair[2];

    if (size > INPUT_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    if (inputs++ % INPUTS_A_MAILDROP == 0)
        make_maildrop();
    t.server_fd = pair[0];
    t.client_fd = pair[1];
    fiber_start(serve, &t);
    fiber_start(speak, &t);
    if (loop_run() < 0)
        abort();
    return 0;
}
