/* releases.h - publish and rollback: a message becomes a job that has no machine and publishes files that are there already.
 *
 * The job's id comes from the message Id, so that a repeated delivery is the same job; what it publishes is fixed with its record. An error
 * means that nothing could be saved: the host delivers the message again. */
#ifndef RELEASES_H
#define RELEASES_H
#include "functions/functions.h"

enum err_code releases_take(const struct app *app, const struct invocation *inv, struct message *m, struct str *said,
                            struct err *err) MUST_CHECK;
#endif
