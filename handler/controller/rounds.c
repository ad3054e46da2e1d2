#include "controller/rounds.h"

#include <stdlib.h>

#include "azure/blob.h"
#include "base/log.h"
#include "controller/ledger.h"
#include "controller/preflight.h"
#include "controller/traces.h"
#include "controller/trained.h"

/* Each of these asks what the code behind asks, in the same words. Failures are nothing here: it will ask again and say what is wrong. */

static void look_job(void *ctx)
{
    const struct rounds *r = ctx;
    AUTO_RECORD rec = {0};

    (void)!ledger_load(&r->c->storage, r->job_id, &rec, NULL);
}

static void look_refused(void *ctx)
{
    const struct rounds *r = ctx;
    AUTO_RECORD rec = {0};

    (void)!ledger_load(&r->c->storage, r->m->default_job_id, &rec, NULL);
}

static void look_line(void *ctx)
{
    const struct rounds *r = ctx;
    AUTO_LINE line = {0};

    (void)!ledger_line(&r->c->storage, r->m->request.line, &line, NULL);
}

static void look_zip(void *ctx)
{
    struct rounds *r = ctx;

    r->zip_seen = files_head(&r->c->storage, SHARE_TRAIN, r->m->request.zip, &r->zip, NULL) == OK;
}

static void look_validation(void *ctx)
{
    const struct rounds *r = ctx;
    struct file_info info;
    char path[BLOB_NAME_MAX];

    controller_validation(r->m->request.line, path);
    (void)!files_head(&r->c->storage, SHARE_TRAIN, path, &info, NULL);
}

static void look_trained(void *ctx)
{
    const struct rounds *r = ctx;
    struct trained before;

    (void)!trained_find(&r->c->storage, &r->m->request, &before, NULL);
}

static void look_slots(void *ctx)
{
    const struct rounds *r = ctx;
    char(*job)[JOB_ID_MAX] = NULL;
    size_t count;

    (void)!ledger_slot_jobs(&r->c->storage, &job, &count, NULL);
    free(job);
}

void rounds_look(struct rounds *r, const struct message *m)
{
    r->m = m;
    ahead_begin(&r->box, r->c->clock);
    ahead_ask(&r->box, look_job, r);
    if (m->default_job_id[0] != '\0' && !str_is(r->job_id, m->default_job_id))
        ahead_ask(&r->box, look_refused, r);
    ahead_ask(&r->box, look_line, r);
    if (m->faults == 0) {
        ahead_ask(&r->box, look_zip, r);
        ahead_ask(&r->box, look_slots, r);
        ahead_ask(&r->box, look_validation, r);
        if (!m->request.force)
            ahead_ask(&r->box, look_trained, r);
    }
    ahead_wait(&r->box);
}

static void look_tail(void *ctx)
{
    const struct rounds *r = ctx;
    struct file_info info;
    AUTO_STR tail = STR_MAX(0);

    (void)!traces_read_tail(&r->c->storage, r->rec->request.zip, r->zip.size, &tail, &info, NULL);
}

static void mark(void *ctx)
{
    const struct rounds *r = ctx;

    (void)!ledger_mark(&r->c->storage, r->rec->job_id, NULL);
}

static void take_slot(void *ctx)
{
    const struct rounds *r = ctx;
    int64_t place;

    (void)!ledger_take_slot(&r->c->storage, r->rec->job_id, r->c->max_jobs, &place, NULL);
}

static void make_folder(void *ctx)
{
    const struct rounds *r = ctx;

    (void)!files_make_directory(&r->c->storage, SHARE_LOGS, r->rec->request.job_name, NULL);
}

static void look_scripts(void *ctx)
{
    const struct rounds *r = ctx;
    struct blob_info info;
    char name[BLOB_NAME_MAX];

    controller_scripts(r->rec, name);
    (void)!blob_head(&r->c->storage, CONTAINER_FILES, name, &info, NULL);
}

static void look_group(void *ctx)
{
    const struct rounds *r = ctx;
    struct arm arm;
    struct arm_group there;
    char group[GROUP_MAX];

    names_group(r->rec->group_prefix, r->rec->slug, 1, group);
    if (controller_arm(r->c, r->rec, &arm, NULL) == OK)
        (void)!arm_group_get(&arm, group, &there, NULL);
}

/* Its answers are not kept in the box but where preflight keeps them. */
static void look_room(void *ctx)
{
    const struct rounds *r = ctx;
    const struct record *rec = r->rec;
    struct arm arm;

    if (controller_arm(r->c, rec, &arm, NULL) == OK)
        (void)!preflight_machine(r->c, &arm, record_size(rec), record_region(rec), job_on_spot(&rec->terms, &rec->state), NULL);
}

void rounds_prepare(struct rounds *r, const struct record *rec)
{
    if (r->box.clock == NULL || !r->zip_seen || r->zip.size == 0 || r->zip.answered_s - r->zip.modified_s < TRACES_STILL_S)
        return; /* it waits for its upload, and must not hold up others meanwhile */
    r->rec = rec;
    r->slot_ahead = true;
    ahead_ask(&r->box, look_tail, r);
    ahead_ask(&r->box, mark, r);
    ahead_ask(&r->box, take_slot, r);
    if (controller_storage_is_made(r->c)) /* else it may lack the share, and would be thought to lack it still */
        ahead_ask(&r->box, make_folder, r);
    ahead_ask(&r->box, look_scripts, r);
    ahead_ask(&r->box, look_group, r);
    ahead_ask(&r->box, look_room, r);
    ahead_wait(&r->box);
}

void rounds_give_back(struct rounds *r, const struct record *there)
{
    struct err err = {0};

    r->slot_ahead = false;
    if (there->state.machine != MACHINE_CLOSED)
        return; /* it has it, or will take it: a release that comes late would give away the slot of a machine */
    if (ledger_free_slot(&r->c->storage, there->job_id, &err) != OK)
        log_line(LOG_WARN, "%s", err.msg);
}

void rounds_end(struct rounds *r)
{
    ahead_end(&r->box);
}
