#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/crypto.h"

static int64_t system_now_s(void *ctx)
{
    struct timespec t = {0};
    (void)ctx;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec;
}

static int64_t system_mono_ms(void *ctx)
{
    struct timespec t = {0};
    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void system_sleep_ms(void *ctx, int64_t ms)
{
    (void)ctx;
    if (ms <= 0)
        return;
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

static uint32_t system_random(void *ctx)
{
    (void)ctx;
    return crypto_random();
}

const struct clock clock_system = {.now_s = system_now_s, .mono_ms = system_mono_ms, .sleep_ms = system_sleep_ms, .random = system_random};

int64_t clock_now_s(const struct clock *c)
{
    return c->now_s(c->ctx);
}

int64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ms(c->ctx);
}

void clock_sleep_ms(const struct clock *c, int64_t ms)
{
    c->sleep_ms(c->ctx, ms);
}

void clock_pause(const struct clock *c, int conflicts)
{
    clock_sleep_ms(c, c->random(c->ctx) % (UINT32_C(20) << conflicts)); /* doubled with each: many may want it at once */
}

#define DAY_S INT64_C(86400)
#define FIRST_S INT64_C(-62135596800) /* 0001-01-01 */
#define LAST_S INT64_C(253402300799)  /* 9999-12-31T23:59:59 */

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct civil {
    int year, month, day, hour, minute, second, weekday;
};

/* Days since 1970 of a date of the Gregorian calendar; years are counted from March, so that leap days come last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t at_s)
{
    struct civil c;
    if (at_s < FIRST_S)
        at_s = FIRST_S;
    if (at_s > LAST_S)
        at_s = LAST_S;
    int64_t days = at_s / DAY_S, rest = at_s % DAY_S;
    if (rest < 0) {
        rest += DAY_S;
        days--;
    }
    c.weekday = (int)(((days + 4) % 7 + 7) % 7);
    c.hour = (int)(rest / 3600);
    c.minute = (int)(rest / 60 % 60);
    c.second = (int)(rest % 60);
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    c.day = (int)(of_year - (153 * month + 2) / 5 + 1);
    c.month = (int)(month < 10 ? month + 3 : month - 9);
    c.year = (int)(year + era * 400 + (c.month <= 2 ? 1 : 0));
    return c;
}

/* The numbers are in range by civil_of; the modulo tells the compiler so. */
void date_http(int64_t at_s, char out[DATE_HTTP])
{
    struct civil c = civil_of(at_s);
    (void)snprintf(out, DATE_HTTP, "%s, %02u %s %04u %02u:%02u:%02u GMT", day_names[c.weekday], (unsigned)c.day % 100,
                   month_names[c.month - 1], (unsigned)c.year % 10000, (unsigned)c.hour % 100, (unsigned)c.minute % 100,
                   (unsigned)c.second % 100);
}

void date_iso(int64_t at_s, char out[DATE_ISO])
{
    struct civil c = civil_of(at_s);
    (void)snprintf(out, DATE_ISO, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)c.year % 10000, (unsigned)c.month % 100,
                   (unsigned)c.day % 100, (unsigned)c.hour % 100, (unsigned)c.minute % 100, (unsigned)c.second % 100);
}

/* Reads `digits` digits and moves on. */
static bool take_number(const char **p, int digits, int *out)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        value = value * 10 + (**p - '0');
    }
    *out = value;
    return true;
}

static bool take_text(const char **p, const char *text)
{
    size_t len = strlen(text);
    if (strncmp(*p, text, len) != 0)
        return false;
    *p += len;
    return true;
}

static bool take_name(const char **p, const char (*names)[4], int count, int *out)
{
    for (int i = 0; i < count; i++) {
        if (take_text(p, names[i])) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool take_time(const char **p, struct civil *c)
{
    return take_number(p, 2, &c->hour) && take_text(p, ":") && take_number(p, 2, &c->minute) && take_text(p, ":") &&
           take_number(p, 2, &c->second);
}

static bool seconds_of(const struct civil *c, int64_t *at_s)
{
    static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
    if (c->year < 1 || c->month < 1 || c->month > 12 || c->day < 1 || c->day > lengths[c->month - 1] + (leap && c->month == 2 ? 1 : 0) ||
        c->hour > 23 || c->minute > 59 || c->second > 60)
        return false;
    *at_s = days_of(c->year, c->month, c->day) * DAY_S + c->hour * 3600 + c->minute * 60 + c->second;
    return true;
}

bool date_parse_http(const char *text, int64_t *at_s)
{
    struct civil c = {0};
    const char *p = text ? text : "";
    if (!take_name(&p, day_names, 7, &c.weekday) || !take_text(&p, ", ") || !take_number(&p, 2, &c.day) || !take_text(&p, " ") ||
        !take_name(&p, month_names, 12, &c.month) || !take_text(&p, " ") || !take_number(&p, 4, &c.year) || !take_text(&p, " ") ||
        !take_time(&p, &c) || !take_text(&p, " GMT") || *p)
        return false;
    c.month++;
    return seconds_of(&c, at_s);
}

bool date_parse_iso(const char *text, int64_t *at_s)
{
    struct civil c = {0};
    const char *p = text ? text : "";
    int hours = 0, minutes = 0, sign = 0;
    if (!take_number(&p, 4, &c.year) || !take_text(&p, "-") || !take_number(&p, 2, &c.month) || !take_text(&p, "-") ||
        !take_number(&p, 2, &c.day) || !take_text(&p, "T") || !take_time(&p, &c))
        return false;
    if (*p == '.') {
        const char *first = ++p;
        while (*p >= '0' && *p <= '9')
            p++;
        if (p == first)
            return false;
    }
    if (*p == '+' || *p == '-') {
        sign = *p++ == '+' ? 1 : -1;
        if (!take_number(&p, 2, &hours) || !take_text(&p, ":") || !take_number(&p, 2, &minutes) || hours > 23 || minutes > 59)
            return false;
    } else if (!take_text(&p, "Z")) {
        return false;
    }
    int64_t seconds = 0;
    if (*p || !seconds_of(&c, &seconds))
        return false;
    *at_s = seconds - sign * (hours * 3600 + minutes * 60);
    return true;
}
