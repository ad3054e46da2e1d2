/* invocation.h - one call of the Functions host, both ways (facts: Functions host protocol, sections 3 and 4).
 *
 * The host POSTs {"Data":{<binding>:...},"Metadata":{...}}. Data is one clean base64 string (dataType binary), or a string encoded once or
 * twice, or an object; text is the message as the sender put it. A 2xx answer must be a JSON object; everything else is a failure whose
 * body the host throws away, so the reason goes to the log. */
#ifndef INVOCATION_H
#define INVOCATION_H
#include <stdint.h>

#include "base/str.h"

struct invocation {
    char id[64];         /* X-Azure-Functions-InvocationId */
    struct str text;     /* the message's bytes; empty for timers */
    char message_id[64]; /* Metadata.Id; "" when there is none */
    int dequeue_count;   /* 0: not told */
    int64_t deadline_ms; /* monotonic; the budget of this call (2 minutes) */
    int64_t deadline_s;  /* the same on the wall clock: what create_until is made of */
};
/* body is the host's POST. binary: the binding is declared dataType binary in function.json, so its string is base64. */
enum err_code invocation_parse(const char *body, size_t len, const char *binding, bool binary, struct invocation *out,
                               struct err *err) MUST_CHECK;
void invocation_done(struct invocation *inv);
/* The only answer of success: {"Outputs":{},"Logs":[...],"ReturnValue":null} with one log line (may be NULL). */
void invocation_answer(struct str *to, const char *log_line);
#endif
