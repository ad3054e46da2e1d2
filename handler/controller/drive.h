/* drive.h - the only loop: load, look, step, save, act. The product and every test of the step run this one, each with its own world. */
#ifndef DRIVE_H
#define DRIVE_H
#include "base/error.h"
#include "job/record.h"
#include "job/step.h"

struct job_world {
    void *ctx;
    int64_t (*now_s)(void *ctx);
    void (*pause)(void *ctx, int conflicts); /* a random moment after the n-th lost save, so that two drives do not meet again and again */
    enum job_order order;                    /* what a message asks of the job, and with ORDER_EXTEND its new max_hours in s */
    int64_t extend_s;
    int64_t until_s; /* end of this invocation's budget, wall clock: no creation is ordered or begun after it */
    enum err_code (*load)(void *ctx, const char *job_id, struct record *rec, struct err *err);
    /* If-Match, or create-once when it has no etag; gives it one. ERR_CONFLICT: another was first. */
    enum err_code (*save)(void *ctx, struct record *rec, struct err *err);
    /* look and act fill in facts (ids, ETags, error texts) that explain; the next save keeps them. They cannot fail: what was not seen
     * stays UNSEEN. */
    void (*look)(void *ctx, struct record *rec, uint32_t look, struct job_seen *seen);
    void (*act)(void *ctx, struct record *rec, uint32_t act, struct job_seen *seen);
};

/* Brings one job as far as it can go now. Looks come first, each once; then every action at most once, each after the save that orders it.
 * OK also when nothing moved. ERR_ABSENT: no such job. Any other error: the record could not be read or saved; the job stays live and is
 * looked at again. */
enum err_code drive(const struct job_world *world, const char *job_id, struct err *err) MUST_CHECK;
/* The same for a job that is not there yet (etag ""). Before its first save it is only looked at and given its slot, so that it may be made
 * with its machine ordered; whatever comes of it, OK means that it is saved. ERR_CONFLICT with the etag still "": there is such a job. */
enum err_code drive_new(const struct job_world *world, struct record *rec, struct err *err) MUST_CHECK;

#endif
