/* log.h - the only place that writes to stdout and stderr; one line a record.
 *
 * The Functions host guesses levels from words and streams (stderr with "warn" in it is a warning, other stderr an error), so INFO goes to
 * stdout, WARN and ERROR to stderr with the prefix `warn:` / `error:`. Every line carries the invocation id and job that the thread has
 * set. Control characters in arguments become blanks; a line is cut at 2 KiB. Thread-safe. Never hand it a secret: there is no way to print
 * a struct secret. */
#ifndef LOG_H
#define LOG_H
enum log_level { LOG_INFO, LOG_WARN, LOG_ERROR };
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What the calling thread works on; copied; NULL leaves a part as it is, "" clears it. */
void log_scope(const char *invocation_id, const char *job_id);
/* The same as it is set now, for a thread that works on with it. */
void log_scope_now(char invocation_id[64], char job_id[72]);
#endif
