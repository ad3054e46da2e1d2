/* server.h - the HTTP server that the Functions host talks to: loopback only, port reuse, bounded bodies, a thread per connection, idle
 * connections kept.
 *
 * GET / answers at once (the host's readiness probe and health ping). POST /<function> calls the function of the table. Unknown: 404. Other
 * methods: 405. A function that returns an error answers 500: libmicrohttpd has no status line of one's own, so the reason is in the body
 * and, as one error line, in the log. Too large a body (1 MiB): 413 after it was swallowed. Once server_stop has begun, new calls on
 * connections that are still open get 503. No answer is ever empty. */
#ifndef SERVER_H
#define SERVER_H
#include <stdint.h>

#include "base/clock.h"
#include "server/invocation.h"

struct server_function {
    const char *name;    /* the folder of its function.json; case counts */
    const char *binding; /* the name in function.json; NULL for a timer */
    bool binary;
    /* Returns OK with one line for the host's log in `said`, or an error: the host will deliver the message again. */
    enum err_code (*call)(void *ctx, struct invocation *inv, struct str *said, struct err *err);
};
struct server;
/* functions ends with a NULL name; table and ctx are borrowed until server_stop. budget_ms is what an invocation may take. */
enum err_code server_start(uint16_t port, const struct server_function *functions, void *ctx, const struct clock *clock, int64_t budget_ms,
                           struct server **ret, struct err *err) MUST_CHECK;
/* Takes no new connections, waits until the calls that run are answered or drain_ms is over, then stops and frees. Returns how many were
 * cut: if that is not 0, their threads still run and still use table and ctx (a thread cannot be ended from outside), so the caller frees
 * nothing and leaves the process. */
int server_stop(struct server *s, int64_t drain_ms);
#endif
