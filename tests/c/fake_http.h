/* fake_http.h - a scripted other side and a clock that does not wait. One thread. */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H
#include "http/http.h"

struct fake_clock {
    int64_t now_s, mono_ms; /* go on together, by sleep and by takes_ms */
    uint32_t random;
    int64_t slept[64];
    size_t sleeps;
    struct clock clock;
};
void fake_clock_init(struct fake_clock *c); /* 2026-01-01T00:00:00Z, 1000 s since start */

struct fake_step {
    const char *method, *url; /* a `*` at the end of url stands for anything */
    const char *expect[8];    /* "Name: value", "Name" (there, whatever it says), "!Name" (not there) */
    const char *body;         /* NULL: any */
    int status;               /* 0: no answer, as `fail` says (default ERR_UNREACHABLE); a sink gets `answer` before */
    const char *reply[8];     /* "Name: value" */
    const char *answer;
    enum err_code fail;
    int64_t takes_ms;
};
struct fake_http {
    const struct fake_step *steps;
    size_t count, next;
    struct fake_clock *clock;
    int64_t limits[64]; /* of each attempt */
    struct http http;   /* hand this out */
};
void fake_http_init(struct fake_http *f, struct fake_clock *c, const struct fake_step *steps, size_t count);
void fake_http_used_up(const struct fake_http *f); /* fails the test if a step was not asked for */
#endif
