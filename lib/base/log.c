/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - one event, one line
 *
 * Lines are composed at the end of one buffer and leave it together: to a file
 * in one write() (the file is O_APPEND, so lines of several processes do not
 * mix), to syslog as datagrams by one sendmmsg(). Tools write to stderr at once.
 * A child of fork() forgets the lines of its parent, who will write them.
 *
 * Runs in: everything. Threads may log: the buffer has a lock.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/clock.h"

enum {
    LOG_LINE_MAX = 4096, /* longer text is cut */
    LOG_FLUSH_AT = 16 * 1024,
    LOG_BUFFER = LOG_FLUSH_AT + LOG_LINE_MAX,
    LOG_BATCH = 32, /* datagrams a call */
    LOG_WARNING_PAUSE_MS = 100,
};

enum log_target { TARGET_STDERR, TARGET_FD, TARGET_SYSLOG };

static struct {
    enum log_target target;
    char tag[64];
    char host[64];
    int fd; /* TARGET_FD: borrowed; TARGET_SYSLOG: ours, -1 while not connected */
    int verbose;
    pid_t pid;           /* 0: not asked yet in this process */
    time_t stamp_second; /* what stamp shows */
    char stamp[32];      /* "Nov 22 07:51:37" */
    uint64_t warned_ms;  /* when a warning was last written at once */
    size_t len;
    char buf[LOG_BUFFER];
} lg = {.tag = "postern", .fd = -1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Postfix's labels; its readers match them */
static const struct {
    const char *label;
    int severity;
} levels[] = {
    [LOG_LV_DEBUG] = {"",          LOG_DEBUG  },
    [LOG_LV_INFO] = {"",          LOG_INFO   },
    [LOG_LV_WARNING] = {"warning: ", LOG_WARNING},
    [LOG_LV_ERROR] = {"error: ",   LOG_ERR    },
    [LOG_LV_FATAL] = {"fatal: ",   LOG_CRIT   },
    [LOG_LV_PANIC] = {"panic: ",   LOG_CRIT   },
};

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
    lg.len = 0;
    lg.pid = 0;
    pthread_mutex_unlock(&lock);
}

/* log_start - once per process, at the first choice of a target */
static void log_start(void)
{
    static bool started;

    if (started)
        return;
    started = true;
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    atexit(log_flush);
    tzset(); /* reads the zone file now: later the sandbox hides it */
}

static void set_target(enum log_target target, const char *tag, int fd)
{
    log_start();
    log_flush();
    pthread_mutex_lock(&lock);
    if (lg.target == TARGET_SYSLOG && lg.fd >= 0)
        close(lg.fd);
    lg.target = target;
    lg.fd = fd;
    snprintf(lg.tag, sizeof lg.tag, "%s", tag);
    pthread_mutex_unlock(&lock);
}

/* syslog_connect - the descriptor is kept, for the sandbox may not let us reach /dev/log later */
static void syslog_connect(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

    if (lg.fd < 0)
        lg.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (lg.fd >= 0 && connect(lg.fd, (struct sockaddr *)&to, sizeof to) < 0 &&
        errno == EPROTOTYPE) {
        close(lg.fd);
        lg.fd = -1;
    }
}

void log_to_syslog(const char *tag)
{
    set_target(TARGET_SYSLOG, tag, -1);
    syslog_connect();
}

void log_to_fd(const char *tag, int fd)
{
    set_target(TARGET_FD, tag, fd);
    if (gethostname(lg.host, sizeof lg.host - 1) < 0 || lg.host[0] == '\0')
        snprintf(lg.host, sizeof lg.host, "localhost");
    char *dot = strchr(lg.host, '.');
    if (dot)
        *dot = '\0';
}

void log_to_stderr(const char *program)
{
    set_target(TARGET_STDERR, program, STDERR_FILENO);
}

void log_set_verbose(int level)
{
    lg.verbose = level;
}

const char *log_tag(void)
{
    return lg.tag;
}

/* write_all - to a file; what cannot be written is lost, for there is nobody to tell */
static void write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

/* send_batch - one sendmmsg; after a restart of the log daemon the socket is connected anew, once
 */
static void send_batch(struct mmsghdr *msgs, unsigned n)
{
    bool reconnected = false;
    unsigned done = 0;

    while (done < n) {
        int r = lg.fd < 0 ? -1 : sendmmsg(lg.fd, msgs + done, n - done, MSG_NOSIGNAL);

        if (r > 0) {
            done += (unsigned)r;
        } else if (lg.fd < 0 || errno != EINTR) {
            if (reconnected)
                return;
            reconnected = true;
            syslog_connect();
        }
    }
}

/* send_lines - each line of the buffer as a datagram */
static void send_lines(const char *p, const char *end)
{
    struct mmsghdr msgs[LOG_BATCH];
    struct iovec iov[LOG_BATCH];

    while (p < end) {
        unsigned n = 0;

        while (n < LOG_BATCH && p < end) {
            const char *eol = memchr(p, '\n', (size_t)(end - p));

            iov[n] = (struct iovec){(char *)p, (size_t)(eol - p)};
            msgs[n] = (struct mmsghdr){
                .msg_hdr = {.msg_iov = &iov[n], .msg_iovlen = 1}
            };
            n++;
            p = eol + 1;
        }
        send_batch(msgs, n);
    }
}

static void flush_locked(void)
{
    size_t len = lg.len;

    lg.len = 0;
    if (len == 0)
        return;
    if (lg.target == TARGET_SYSLOG)
        send_lines(lg.buf, lg.buf + len);
    else
        write_all(lg.target == TARGET_FD ? lg.fd : STDERR_FILENO, lg.buf, len);
}

void log_flush(void)
{
    if (lg.len == 0)
        return;
    pthread_mutex_lock(&lock);
    flush_locked();
    pthread_mutex_unlock(&lock);
}

/* stamp_now - "Mon DD HH:MM:SS", made once a second; by hand, as strftime would ask the locale */
static const char *stamp_now(void)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)clock_real();
    struct tm tm;

    if ((now != lg.stamp_second || lg.stamp[0] == '\0') && localtime_r(&now, &tm)) {
        lg.stamp_second = now;
        snprintf(lg.stamp, sizeof lg.stamp, "%s %2d %02d:%02d:%02d", months[tm.tm_mon], tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    return lg.stamp;
}

/* add_prefix - what stands before the text; returns its length */
static size_t add_prefix(char *p, size_t room, enum log_level level)
{
    const char *label = levels[level].label;
    int n = 0;

    if (lg.pid == 0)
        lg.pid = getpid();
    switch (lg.target) {
    case TARGET_STDERR:
        n = snprintf(p, room, "%s: %s", lg.tag, label);
        break;
    case TARGET_FD:
        n = snprintf(p, room, "%s %s %s[%d]: %s", stamp_now(), lg.host, lg.tag, (int)lg.pid, label);
        break;
    case TARGET_SYSLOG:
        n = snprintf(p, room, "<%d>%s %s[%d]: %s", LOG_MAIL | levels[level].severity, stamp_now(),
                     lg.tag, (int)lg.pid, label);
        break;
    }
    return (size_t)n;
}

/* What could be the last word of a process leaves at once. But a flood makes a warning of each client: those that follow
 * closely on another wait for the flush, as all lines do. */
static bool is_urgent(enum log_level level)
{
    uint64_t now;

    if (level != LOG_LV_WARNING)
        return level > LOG_LV_WARNING;
    now = clock_ms();
    if (lg.warned_ms != 0 && now - lg.warned_ms < LOG_WARNING_PAUSE_MS)
        return false;
    lg.warned_ms = now;
    return true;
}

void log_vline(enum log_level level, const char *fmt, va_list ap)
{
    int saved = errno; /* the text may use %m, and the caller his errno */

    if (level == LOG_LV_DEBUG && lg.verbose <= 0)
        return;
    pthread_mutex_lock(&lock);
    char *p = lg.buf + lg.len;
    size_t room = LOG_LINE_MAX - 1, n = add_prefix(p, room, level);
    errno = saved;
    int text = vsnprintf(p + n, room - n, fmt, ap);
    size_t end = text < 0 ? n : n + (size_t)text < room ? n + (size_t)text : room - 1;
    for (size_t i = n; i < end; i++)
        if (char_is(p[i], CHAR_CTL))
            p[i] = '?';
    p[end++] = '\n';
    lg.len += end;
    if (is_urgent(level) || lg.target == TARGET_STDERR || lg.len >= LOG_FLUSH_AT)
        flush_locked();
    pthread_mutex_unlock(&lock);
    errno = saved;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vline(level, fmt, ap);
    va_end(ap);
}

/* line_errno - the text with ": strerror(-r)" behind it */
static int line_errno(enum log_level level, int r, const char *fmt, va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof text, fmt, ap);
    log_line(level, "%s: %s", text, strerrordesc_np(-r) ? strerrordesc_np(-r) : "Unknown error");
    return r;
}

int log_warn_errno(int r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_errno(LOG_LV_WARNING, r, fmt, ap);
    va_end(ap);
    return r;
}

int log_error_errno(int r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_errno(LOG_LV_ERROR, r, fmt, ap);
    va_end(ap);
    return r;
}

void log_fatal(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vline(LOG_LV_FATAL, fmt, ap);
    va_end(ap);
    log_flush();
    fflush(NULL);
    _exit(1); /* not exit(): what was half made is nobody's leak */
}
