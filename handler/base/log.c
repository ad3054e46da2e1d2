#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

#define LINE_BYTES 2048 /* below PIPE_BUF, so that one write() is one line even with many threads */

static _Thread_local char scope_invocation[64];
static _Thread_local char scope_job[72];

void log_scope(const char *invocation_id, const char *job_id)
{
    if (invocation_id)
        str_copy(scope_invocation, sizeof scope_invocation, invocation_id);
    if (job_id)
        str_copy(scope_job, sizeof scope_job, job_id);
}

void log_scope_now(char invocation_id[64], char job_id[72])
{
    str_copy(invocation_id, sizeof scope_invocation, scope_invocation);
    str_copy(job_id, sizeof scope_job, scope_job);
}

static const char *prefix(enum log_level level)
{
    return level == LOG_ERROR ? "error: " : level == LOG_WARN ? "warn: " : "";
}

/* How many of a snprintf's bytes really stand in the buffer. */
static size_t stored(int wanted, size_t size)
{
    if (wanted < 0)
        return 0;
    return (size_t)wanted < size ? (size_t)wanted : size - 1;
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return; /* nobody is left to be told */
        bytes += done;
        len -= (size_t)done;
    }
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_BYTES];
    size_t size = sizeof line - 1, len = 0; /* one byte is kept for the line end */
    len += stored(snprintf(line, size, "%s", prefix(level)), size);
    if (scope_invocation[0] || scope_job[0])
        len += stored(
            snprintf(line + len, size - len, "[%s%s%s] ", scope_invocation, scope_invocation[0] && scope_job[0] ? " " : "", scope_job),
            size - len);
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + len, size - len, format, args);
    va_end(args);
    bool cut = wanted >= 0 && (size_t)wanted >= size - len;
    len += stored(wanted, size - len);
    if (cut) { /* not inside a character */
        size_t start = len;
        while (start > 0 && ((unsigned char)line[start - 1] & 0xC0) == 0x80)
            start--;
        if (start > 0 && (unsigned char)line[start - 1] >= 0xC0 && !str_is_utf8(line + start - 1, len - start + 1))
            len = start - 1;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7F)
            line[i] = ' ';
    line[len++] = '\n';
    write_all(level == LOG_INFO ? STDOUT_FILENO : STDERR_FILENO, line, len);
}
