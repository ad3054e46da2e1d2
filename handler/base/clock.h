/* clock.h - time, waiting and chance as parameters, and the three ways Azure writes a date.
 *
 * Wall-clock times are int64_t seconds since 1970 (suffix _s); durations that are waited for use the monotonic clock in ms (suffix _ms). */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdbool.h>
#include <stdint.h>

struct clock {
    int64_t (*now_s)(void *ctx);
    int64_t (*mono_ms)(void *ctx);
    void (*sleep_ms)(void *ctx, int64_t ms);
    uint32_t (*random)(void *ctx);
    void *ctx;
};
extern const struct clock clock_system;

int64_t clock_now_s(const struct clock *c);
int64_t clock_mono_ms(const struct clock *c);
void clock_sleep_ms(const struct clock *c, int64_t ms);
/* After so many conflicts over the same thing (at most 20): a random moment, so that those who lost do not meet again. */
void clock_pause(const struct clock *c, int conflicts);

#define DATE_HTTP 30 /* "Thu, 01 Jan 2026 00:00:00 GMT" + NUL */
#define DATE_ISO 21  /* "2026-01-01T00:00:00Z" + NUL */
void date_http(int64_t at_s, char out[DATE_HTTP]);
void date_iso(int64_t at_s, char out[DATE_ISO]);
bool date_parse_http(const char *text, int64_t *at_s); /* RFC 1123 */
bool date_parse_iso(const char *text, int64_t *at_s);  /* fractions are dropped; Z or +hh:mm */
#endif
