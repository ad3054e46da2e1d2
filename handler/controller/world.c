#include "controller/world.h"

#include <stdio.h>

#include "base/log.h"
#include "controller/control.h"
#include "controller/evidence.h"
#include "controller/ledger.h"
#include "controller/machine.h"
#include "controller/publish.h"
#include "controller/tell.h"
#include "controller/traces.h"
#include "http/ahead.h"

#define NO_SIGN_IN "the app is not let in to Azure"
#define SIGN_IN_MS 30000 /* limit of one sign-in with its retries */

static int64_t world_now_s(void *ctx)
{
    const struct errand *e = ctx;

    return controller_now_s(e->c);
}

static void world_pause(void *ctx, int conflicts)
{
    clock_pause(((const struct errand *)ctx)->c->clock, conflicts);
}

static enum err_code world_load(void *ctx, const char *job_id, struct record *rec, struct err *err)
{
    const struct errand *e = ctx;

    return ledger_load(&e->c->storage, job_id, rec, err);
}

static enum err_code world_save(void *ctx, struct record *rec, struct err *err)
{
    const struct errand *e = ctx;

    if (*rec->etag != '\0')
        return ledger_save(&e->c->storage, rec, err);
    enum err_code code = ledger_accept(&e->c->storage, rec, err);
    if (code == OK)
        log_line(LOG_INFO, "accepted: %s", rec->request.zip);
    return code;
}

static void world_look(void *ctx, struct record *rec, uint32_t look, struct job_seen *seen)
{
    const struct errand *e = ctx;

    if (look & LOOK_ZIP)
        traces_look_zip(e, rec, seen);
    if (look & LOOK_GROUP)
        machine_look_group(e, rec, seen);
    if (look & LOOK_DEPLOYMENT)
        machine_look_deployment(e, rec, seen);
    if (look & LOOK_CLAIM)
        traces_look_claim(e, rec, seen);
    if (look & LOOK_VM)
        machine_look_vm(e, rec, seen);
    if (look & LOOK_STATUS)
        traces_look_status(e, rec, seen);
    if (look & LOOK_RESULT)
        traces_look_result(e, rec, seen);
}

/* A job that could not order its machine anyway waits in the queue, where no time runs. */
static bool can_sign_in(const struct errand *e, struct record *rec)
{
    struct err err = {0};

    if (str_starts(rec->trouble, NO_SIGN_IN))
        rec->trouble[0] = '\0'; /* of the last look */
    if (identity_try(e->c->arm.identity, clock_mono_ms(e->c->clock) + SIGN_IN_MS, &err) == OK)
        return true;
    log_line(LOG_ERROR, "%s", err.msg);
    snprintf(rec->trouble, sizeof rec->trouble, NO_SIGN_IN ": %.440s", err.msg);
    return false;
}

/* The line's current model becomes the baseline; known before the machine is ordered, because its customData names it. A job that is not
 * saved yet was made from the line a moment ago. */
static void take_slot(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct err err = {0};
    AUTO_LINE line = {.version = rec->baseline};

    if (!can_sign_in(e, rec)) {
        seen->slot = NO;
        return;
    }
    enum err_code code = *rec->etag != '\0' ? ledger_line(&e->c->storage, rec->request.line, &line, &err) : OK;

    if (code == OK)
        code = ledger_take_slot(&e->c->storage, rec->job_id, e->c->max_jobs, &rec->place, &err);
    if (code != OK) {
        log_line(LOG_WARN, "%s", err.msg);
        return;
    }
    rec->baseline = line.version;
    seen->slot = rec->place == 0 ? YES : NO;
}

static void free_slot(const struct errand *e, const struct record *rec, struct job_seen *seen)
{
    struct err err = {0};

    if (ledger_free_slot(&e->c->storage, rec->job_id, &err) == OK)
        seen->slot = NO;
    else
        log_line(LOG_WARN, "%s", err.msg);
}

static void tell_machine(const struct errand *e, const struct record *rec, struct job_seen *seen)
{
    struct err err = {0};

    if (control_write(e, rec, &err) == OK)
        seen->control = YES;
    else
        log_line(LOG_WARN, "%s", err.msg);
}

static void forget(const struct errand *e, const struct record *rec)
{
    struct err err = {0};

    if (rec->state.untold != 0)
        log_line(LOG_WARN, "notices %x could not be delivered within a day and were given up", rec->state.untold);
    if (ledger_forget(&e->c->storage, rec->job_id, &err) == OK)
        log_line(LOG_INFO, "closed: %s", job_outcome_words[rec->state.outcome]);
    else
        log_line(LOG_WARN, "marker: %s", err.msg); /* job-watch finds it again */
}

static void world_act(void *ctx, struct record *rec, uint32_t act, struct job_seen *seen)
{
    const struct errand *e = ctx;

    if (act & ACT_TAKE_SLOT)
        take_slot(e, rec, seen);
    if (act & ACT_CREATE)
        machine_create(e, rec, seen);
    if (act & ACT_CONTROL)
        tell_machine(e, rec, seen);
    if (act & ACT_FENCE)
        machine_fence(e, rec);
    if (act & ACT_EVIDENCE)
        evidence_keep(e, rec);
    if (act & ACT_DELETE)
        machine_delete(e, rec, seen);
    if (act & ACT_VERIFY)
        publish_verify(e, rec, seen);
    if (act & ACT_TAKE_LINE)
        publish_take_line(e, rec, seen);
    if (act & ACT_COPY)
        publish_copy(e, rec, seen);
    if (act & ACT_POINT)
        publish_point(e, rec, seen);
    if (act & ACT_FREE_LINE)
        publish_free_line(e, rec, seen);
    if (act & ACT_FREE_SLOT)
        free_slot(e, rec, seen);
    if (act & ACT_TELL)
        tell_due(e, rec, seen);
    if (act & ACT_FORGET)
        forget(e, rec);
}

struct job_world world_of(const struct errand *e)
{
    return (struct job_world){
        .ctx = (void *)(uintptr_t)e,
        .now_s = world_now_s,
        .pause = world_pause,
        .until_s = e->until_s,
        .load = world_load,
        .save = world_save,
        .look = world_look,
        .act = world_act,
    };
}
