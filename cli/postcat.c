/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postcat - show queue files
 *
 * The markers and the names of records are Postfix's where it has the same thing. The journal
 * stands in the section that Postfix calls "header extracted". Lines of the message end with LF.
 *
 * Runs in: a terminal or a script, as the administrator. Files may be damaged; what can be shown is
 * shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/format.h"

#define PIECE 65536

enum parts { ENVELOPE = 1 << 0, HEADER = 1 << 1, BODY = 1 << 2, ALL = ENVELOPE | HEADER | BODY };

struct options {
    unsigned parts;                   /* enum parts */
    bool by_id;                       /* -q */
    bool names, types, offsets, file; /* -v -d -o -f */
    uint64_t start;                   /* -s */
    const char *config_dir;
};

/* A file being shown. */
struct shown {
    const struct options *o;
    const char *path;
    int fd;
    struct queue_header header;
    bool in_journal;
    uint64_t records_end; /* of the last whole record seen */
    struct str text;      /* scratch */
};

static void prefix(const struct shown *s, uint64_t offset, int type)
{
    if (s->o->file)
        printf("%s ", s->path);
    if (s->o->offsets)
        printf("%9llu ", (unsigned long long)offset);
    if (s->o->types)
        printf("%3d ", type);
}

static void marker(const struct shown *s, const char *what)
{
    if (s->o->parts & ENVELOPE)
        printf("*** %s %s ***\n", what, s->path);
}

/* ---- envelope and journal ---- */

static int show_record(uint64_t offset, int type, const char *type_name, struct span bytes,
                       void *arg)
{
    struct shown *s = arg;
    bool journal = offset >= s->header.content_offset + s->header.content_size;

    (void)type_name;
    s->records_end = offset + RECORD_HEAD_SIZE + bytes.len;
    if (journal != s->in_journal || offset < s->o->start)
        return 0;
    str_reset(&s->text);
    queue_record_print(type, bytes, &s->text);
    prefix(s, offset, type);
    printf("%s\n", str_cstr(&s->text));
    return 0;
}

static int show_records(struct shown *s)
{
    s->records_end = QUEUE_HEADER_SIZE;
    int r = queue_dump(s->fd, show_record, s);

    /* A torn tail of the journal is no damage, only what became of the last attempt is not known.
     */
    return r == -EBADMSG && s->records_end >= s->header.content_offset ? 0 : r;
}

static void show_size(const struct shown *s)
{
    const struct queue_header *h = &s->header;

    printf("message_size: %15llu %15llu %15u %15d %15llu\n", (unsigned long long)h->content_size,
           (unsigned long long)h->content_offset, h->n_rcpts, 0,
           (unsigned long long)h->content_size);
}

/* ---- content ---- */

struct lines {
    struct shown *s;
    bool in_body;
    struct str line;
    uint64_t at; /* offset of line */
};

static void show_line(struct lines *l)
{
    struct span line = str_span(&l->line);
    const struct options *o = l->s->o;

    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (!l->in_body && line.len == 0) {
        l->in_body = true;
        if (!(o->parts & HEADER))
            return; /* -b alone begins behind the empty line */
        if (!(o->parts & BODY))
            return;
    }
    if (!(o->parts & (l->in_body ? BODY : HEADER)) || l->at < o->start)
        return;
    prefix(l->s, l->at, 'N');
    if (o->names)
        fputs("regular_text: ", stdout);
    fwrite(line.ptr, 1, line.len, stdout);
    putchar('\n');
}

static void show_piece(struct lines *l, struct span bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ptrdiff_t lf = span_chr(bytes, '\n');
        size_t len = lf < 0 ? bytes.len : (size_t)lf;

        if (l->line.len == 0)
            l->at = offset;
        str_add(&l->line, span_first(bytes, len));
        if (lf < 0)
            return;
        show_line(l);
        str_reset(&l->line);
        bytes = span_from(bytes, len + 1);
        offset += len + 1;
    }
}

static int show_content(struct shown *s)
{
    _cleanup_free_ char *buf = mem_realloc(NULL, PIECE, 1);
    struct lines l = {.s = s};
    uint64_t at = s->header.content_offset, end = at + s->header.content_size;
    ssize_t n = 1;

    while (at < end && n > 0) {
        n = queue_pread(s->fd, buf, end - at < PIECE ? (size_t)(end - at) : PIECE, at);
        if (n > 0)
            show_piece(&l, span_make(buf, (size_t)n), at);
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (l.line.len > 0)
        show_line(&l);
    str_free(&l.line);
    return n < 0 ? (int)n : 0;
}

/* ---- files ---- */

static int show_sections(struct shown *s)
{
    bool envelope = s->o->parts & ENVELOPE;
    int r = 0;

    marker(s, "ENVELOPE RECORDS");
    if (envelope) {
        show_size(s);
        r = show_records(s);
    }
    if (s->o->parts & (HEADER | BODY)) {
        marker(s, "MESSAGE CONTENTS");
        int c = show_content(s);

        r = r < 0 ? r : c;
    }
    marker(s, "HEADER EXTRACTED");
    s->in_journal = true;
    if (envelope && r == 0)
        r = show_records(s);
    marker(s, "MESSAGE FILE END");
    return r;
}

static bool show_file(const struct options *o, const char *path, int fd)
{
    struct shown s = {.o = o, .path = path, .fd = fd};
    char head[QUEUE_HEADER_SIZE];
    ssize_t n = queue_pread(fd, head, sizeof head, 0);
    off_t size = lseek(fd, 0, SEEK_END);

    if (n < 0 || size < 0) {
        log_error("%s: %m", path);
        return false;
    }
    const char *why = queue_header_get(span_make(head, (size_t)n), (uint64_t)size, &s.header);

    if (why) {
        log_error("%s: %s", path, why);
        return false;
    }
    int r = show_sections(&s);

    str_free(&s.text);
    if (r < 0)
        log_error("%s: %s", path, r == -EBADMSG ? "damaged record" : strerror(-r));
    return r == 0;
}

static bool show_id(const struct options *o, const char *queue_directory, const char *id)
{
    /* Later places last: a message that moves while we look is then not missed. */
    static const enum queue_place places[] = {QUEUE_MAILDROP, QUEUE_TMP,  QUEUE_NEW,
                                              QUEUE_CUR,      QUEUE_HOLD, QUEUE_CORRUPT};

    if (!queue_id_valid(span_of(id))) {
        log_error("%s: not a queue id", id);
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        _cleanup_(str_free) struct str full = STR_INIT, path = STR_INIT;

        str_addf(&path, "%s/%s", queue_place_name(places[i]), id);
        str_addf(&full, "%s/%s", queue_directory, str_cstr(&path));
        _cleanup_close_ int fd = open(str_cstr(&full), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd >= 0)
            return show_file(o, str_cstr(&path), fd);
        if (errno != ENOENT) {
            log_error("open queue file %s: %m", str_cstr(&path));
            return false;
        }
    }
    log_error("open queue file %s: No such file or directory", id);
    return false;
}

static bool show_path(const struct options *o, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        log_error("open %s: %m", path);
        return false;
    }
    return show_file(o, path, fd);
}

static bool show_ids(const struct options *o, char *const *ids)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = NULL;
    _cleanup_(str_free) struct str dir = STR_INIT, err = STR_INIT;
    bool ok = true;

    if (conf_load(o->config_dir, &conf, &err) < 0 ||
        conf_get(conf, "queue_directory", &dir, &err) < 0)
        log_fatal("%s", str_cstr(&err));
    for (; *ids; ids++)
        ok &= show_id(o, str_cstr(&dir), *ids);
    return ok;
}

static _Noreturn void usage(void)
{
    log_fatal("usage: postcat [-bdefhoqrv] [-c config_dir] [-s offset] [file or queue id]...");
}

static struct options parse(int argc, char **argv)
{
    struct options o = {0};
    int c;

    while ((c = getopt(argc, argv, "bc:defhoqrs:v")) != -1) {
        switch (c) {
        case 'b':
            o.parts |= BODY;
            break;
        case 'c':
            o.config_dir = optarg;
            break;
        case 'd':
            o.types = true;
            break;
        case 'e':
            o.parts |= ENVELOPE;
            break;
        case 'f':
            o.file = true;
            break;
        case 'h':
            o.parts |= HEADER;
            break;
        case 'o':
            o.offsets = true;
            break;
        case 'q':
            o.by_id = true;
            break;
        case 'r':
            break; /* no pointers here: files are shown in their order anyway */
        case 's':
            if (span_u64(span_of(optarg), INT64_MAX, &o.start) < 0)
                usage();
            break;
        case 'v':
            o.names = true;
            break;
        default:
            usage();
        }
    }
    if (o.parts == 0)
        o.parts = ALL;
    return o;
}

int main(int argc, char **argv)
{
    bool ok = true;

    log_to_stderr("postcat");
    struct options o = parse(argc, argv);

    if (o.by_id) {
        ok = show_ids(&o, argv + optind);
    } else if (optind == argc) {
        ok = show_file(&o, "stdin", STDIN_FILENO);
    } else {
        for (char *const *path = argv + optind; *path; path++)
            ok &= show_path(&o, *path);
    }
    return ok && fflush(stdout) == 0 ? EX_OK : 1;
}
