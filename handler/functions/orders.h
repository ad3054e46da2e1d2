/* orders.h - what a message asks of a job that is there: its status, its end, more time. People are told what became of it.
 *
 * An error means that nothing could be saved: the host delivers the message again. */
#ifndef ORDERS_H
#define ORDERS_H
#include "functions/functions.h"

/* Tells people at once: one try, then the log. */
void orders_answer(const struct app *app, const struct str *text, struct str *said);
enum err_code orders_status(const struct app *app, const struct message *m, struct str *said, struct err *err) MUST_CHECK;
enum err_code orders_cancel(const struct app *app, const struct invocation *inv, const struct message *m, struct str *said,
                            struct err *err) MUST_CHECK;
enum err_code orders_extend(const struct app *app, const struct invocation *inv, const struct message *m, struct str *said,
                            struct err *err) MUST_CHECK;
/* Turns a message with action retry into the train message that asks for the same once more. *done: there is nothing to try again, and
 * people are told why. */
enum err_code orders_retry(const struct app *app, const struct invocation *inv, struct message *m, bool *done, struct str *said,
                           struct err *err) MUST_CHECK;
#endif
