/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one event, one line: "Mon DD HH:MM:SS host tag[pid]: text"
 *
 * Lines go to syslog (facility mail), to an inherited descriptor
 * (maillog_file, opened by master) or to stderr (tools). Lines for a
 * descriptor are kept until log_flush(), which the event loop calls before it
 * sleeps, so that a burst costs one write. Errors and a first warning flush.
 * A child of fork() forgets the lines its parent has not written yet; the
 * parent writes them. Lines are cut at 4 KiB. Threads may log.
 * lib/ does not log but returns errors; programs do (style: three failures).
 *
 * What came from a peer must be escaped by the caller (str_add_escaped).
 * Control characters that slip through are replaced here all the same.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

enum log_level { LOG_LV_DEBUG, LOG_LV_INFO, LOG_LV_WARNING, LOG_LV_ERROR, LOG_LV_FATAL, LOG_LV_PANIC };

/*
 * Choose where lines go. tag: "postern/smtpd". May be called again.
 * log_to_fd: the descriptor is borrowed. log_to_stderr: "program: text",
 * for tools ("postmap: warning: ...").
 */
void log_to_syslog(const char *tag);
void log_to_fd(const char *tag, int fd);
void log_to_stderr(const char *program);
void log_set_verbose(int level);      /* > 0: log_debug is shown */
const char *log_tag(void);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vline(enum log_level level, const char *fmt, va_list ap);
void log_flush(void);

#define log_debug(...) log_line(LOG_LV_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LV_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LV_WARNING, __VA_ARGS__)
#define log_error(...) log_line(LOG_LV_ERROR, __VA_ARGS__)

/* The same with ": strerror(-r)" appended; returns r (a negative errno). */
int log_warn_errno(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int log_error_errno(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "fatal: ...": says it, flushes, exits with status 1. For start-up and tools. */
_Noreturn void log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
