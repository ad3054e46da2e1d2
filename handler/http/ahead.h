/* ahead.h - asking ahead: a box of answers to calls that are made a moment before they are needed, side by side.
 *
 * Code that reads and writes stays sequential and does not know of it. While a thread has a box open, other threads run for it what it will
 * soon ask; every complete answer that they get (GET, HEAD, PUT; no outage, no token) is kept, and http_send of the owning thread takes the
 * oldest kept answer to the same request before it asks really: same method, URL, range, conditions and body. Each is taken once, and none
 * that is older than 5 s. A call ahead is tried once and for at most 10 s; what got no answer is asked again by whoever needs it, so a
 * thread that cannot be started costs time only. Calls of a later round see the answers of earlier ones without taking them away. */
#ifndef HTTP_AHEAD_H
#define HTTP_AHEAD_H
#include <pthread.h>

#include "http/http.h"

#define AHEAD_CALLS 16 /* in all rounds of one box */

struct kept;
struct ahead_call {
    struct ahead *box;
    void (*run)(void *ctx);
    void *ctx;
    int64_t deadline_ms;
    char invocation[64], job[72]; /* log scope of the owner */
    int round, number;
    pthread_t thread;
};
struct ahead {
    const struct clock *clock;
    pthread_mutex_t lock; /* over kept */
    struct kept *kept;    /* oldest first */
    struct ahead_call call[AHEAD_CALLS];
    int calls, joined, round;
};
#define AUTO_AHEAD __attribute__((cleanup(ahead_end))) struct ahead

/* The calling thread owns the box, which must stay where it is, until ahead_end. One box a thread. */
void ahead_begin(struct ahead *box, const struct clock *clock);
/* Has run(ctx) done by a thread of its own; not at all when the box is not open, or full. ctx must live until ahead_wait; run must not fail
 * loudly: it only asks. */
void ahead_ask(struct ahead *box, void (*run)(void *ctx), void *ctx);
/* Waits until all that was asked is over; what is asked from now on is the next round. */
void ahead_wait(struct ahead *box);
/* Forgets the answers that the calling thread's box holds, if it has one. */
void ahead_forget(void);
/* Waits, and forgets every answer. Harmless for a box that was never begun, or twice. */
void ahead_end(struct ahead *box);

/* For http_send. True when res holds a kept answer to req. */
bool ahead_take(const struct http_request *req, struct http_response *res);
/* Keeps a copy of a complete answer when the calling thread asks ahead. */
void ahead_keep(const struct http_request *req, const struct http_response *res);
/* True for a request that is made ahead, which is tried once. */
bool ahead_is_early(const struct http_request *req);
#endif
