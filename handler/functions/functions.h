/* functions.h - the functions of the app; each source tells what its function does, in the order in which it happens.
 *
 * ctx is a struct app. OK means that the message is dealt with for good (also when it was refused); an error means that nothing could be
 * saved and the host shall deliver it again. */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H
#include "controller/controller.h"
#include "functions/failures.h"
#include "job/message.h"
#include "server/invocation.h"

struct app {
    struct controller *controller;
    struct message_defaults defaults;
    struct failures *failures;
};

enum err_code js_queue_items(void *ctx, struct invocation *inv, struct str *said, struct err *err);
enum err_code delete_resources(void *ctx, struct invocation *inv, struct str *said, struct err *err);
enum err_code job_watch(void *ctx, struct invocation *inv, struct str *said, struct err *err);
/* What the host gave up in one of the two queues: people are told what was lost, and how to send it again. */
enum err_code js_queue_items_poison(void *ctx, struct invocation *inv, struct str *said, struct err *err);
enum err_code delete_resources_poison(void *ctx, struct invocation *inv, struct str *said, struct err *err);

/* Reads {"v":1,"job_id":"...","attempt":1}; false: it is no bell. The old word is `done`. */
bool delete_resources_bell(const struct str *text, char job_id[JOB_ID_MAX], int64_t *attempt);
bool delete_resources_is_done(const struct str *text);

/* Brings one job as far as it goes now, within the invocation's budget. */
enum err_code app_drive(const struct app *app, const struct invocation *inv, const char *job_id, struct err *err) MUST_CHECK;
/* The same, with what a message asks of the job. Here a conflict is an error: the order would be lost. */
enum err_code app_order(const struct app *app, const struct invocation *inv, const char *job_id, enum job_order order, int64_t extend_s,
                        struct err *err) MUST_CHECK;
/* The same for one that is not saved yet. ERR_CONFLICT: there is such a job. Any other error with rec->etag still "": it is not saved.
 */
enum err_code app_drive_new(const struct app *app, const struct invocation *inv, struct record *rec, struct err *err) MUST_CHECK;
#endif
