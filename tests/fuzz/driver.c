/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c - runs a fuzz target over files, each whole and with bytes changed
 *
 * Takes the place of libFuzzer in ordinary builds: every target runs a little in
 * every test run, the same inputs each time. driver DIRECTORY|FILE ...
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_MAX = 64 << 10, CHANGES = 200 };

/* An exact-size copy, so that AddressSanitizer sees a read past the end. */
static void run_exact(const char *data, size_t size)
{
    _cleanup_free_ char *copy = mem_calloc(1, size ? size : 1);

    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput((const uint8_t *)copy, size);
}

static void run_changed(struct str *text)
{
    static const char odd[] = { '\0', '\n', '\r', '"', '(', ')', '{', '\\', '<', (char)0xff, ' ', ':' };
    uint32_t seed = 1;

    run_exact(text->data, text->len);
    for (int i = 0; i < CHANGES && text->len > 0; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t at = seed % text->len;
        char old = text->data[at];
        text->data[at] = odd[(seed >> 8) % sizeof odd];
        run_exact(text->data, text->len);
        run_exact(text->data, at);
        text->data[at] = old;
    }
}

static void run_file(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(str_free) struct str text = STR_INIT;

    if (fd < 0)
        return;
    str_reserve(&text, FILE_MAX);
    ssize_t n = read(fd, text.data, FILE_MAX);
    if (n <= 0)
        return;
    text.len = (size_t)n;
    run_changed(&text);
}

static void run_directory(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (!d) {
        run_file(path);
        return;
    }
    while ((e = readdir(d))) {
        _cleanup_(str_free) struct str name = STR_INIT;
        if (e->d_name[0] == '.')
            continue;
        str_addf(&name, "%s/%s", path, e->d_name);
        run_directory(str_cstr(&name));
    }
    closedir(d);
}

int main(int argc, char **argv)
{
    static const char *const seeds[] = {
        "", "\n", "a b c\r\n", "MAIL FROM:<a@example.com> SIZE=1 BODY=8BITMIME\r\n",
        "From: \"A B\" <a@example.com>, c@example.com (d)\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\r\nx\r\n",
        "a1 FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n",
        "key value\n  continued\n# comment\n/^a(b)/i $1\n192.0.2.0/24 x\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
        _cleanup_(str_free) struct str text = STR_INIT;
        str_add_str(&text, seeds[i]);
        str_cstr(&text);
        run_changed(&text);
    }
    for (int i = 1; i < argc; i++)
        run_directory(argv[i]);
    return 0;
}
