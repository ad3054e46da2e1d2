/* functions.h - the three functions of the app; each source tells what its function does, in the order in which it happens.
 *
 * ctx is a struct app. OK means that the message is dealt with for good (also when it was refused); an error means that nothing could be
 * saved and the host shall deliver it again. */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H
#include "controller/controller.h"
#include "job/message.h"
#include "server/invocation.h"

struct app {
    struct controller *controller;
    struct message_defaults defaults;
};

enum err_code js_queue_items(void *ctx, struct invocation *inv, struct str *said, struct err *err);
enum err_code delete_resources(void *ctx, struct invocation *inv, struct str *said, struct err *err);
enum err_code job_watch(void *ctx, struct invocation *inv, struct str *said, struct err *err);

/* Brings one job as far as it goes now, within the invocation's budget. */
enum err_code app_drive(const struct app *app, const struct invocation *inv, const char *job_id, struct err *err) MUST_CHECK;
/* The same for one that is not saved yet. ERR_CONFLICT: there is such a job. Any other error with rec->etag still "": it is not saved.
 * slot_ahead: a slot may have been taken for it; it is given back when the job is saved without one. */
enum err_code app_drive_new(const struct app *app, const struct invocation *inv, struct record *rec, bool slot_ahead,
                            struct err *err) MUST_CHECK;
#endif
