/* SPDX-License-Identifier: Apache-2.0 */
/* pop3d_session_fuzz.c - a client's whole session on a maildrop that is made anew after some inputs */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "pop3d/pop3.h"
#include "tests/fuzz/conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16384, INPUTS_A_MAILDROP = 100 };

static const char *const messages[] = {
    "Subject: a\n\n.\n..\ntext\n", "Subject: CRLF\r\n\r\n.x\r\n", "no end", "", "\n", "Subject: b\n\nline\rwith\r\r\nCRs\r",
};

static char directory[64];

static void serve(struct stream *client)
{
    struct pop3 s = { .client = client, .uidl_format = "%08Xu%08Xv", .line_limit = 255, .bad_limit = 20 };
    const char *why;

    pop3_serve(&s, directory, &why);
    stream_free(s.client);
    pop3_done(&s);
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

    if (size > INPUT_MAX)
        return 0;
    if (inputs++ % INPUTS_A_MAILDROP == 0)
        make_maildrop();
    converse(span_make((const char *)data, size), serve, NULL);
    return 0;
}
