#include "base/log.h"
#include "controller/tell.h"
#include "controller/world.h"
#include "functions/functions.h"

struct purpose {
    struct record *rec; /* one that is not saved yet, or NULL */
    enum job_order order;
    int64_t extend_s;
};

static enum err_code drive_one(const struct app *app, const struct invocation *inv, const char *job_id, const struct purpose *p,
                               struct err *err)
{
    struct errand e = {.c = app->controller, .until_s = inv->deadline_s};
    struct job_world world = world_of(&e);

    world.order = p->order;
    world.extend_s = p->extend_s;
    log_scope(inv->id, job_id);
    http_scope(inv->deadline_ms);
    enum err_code code = p->rec != NULL ? drive_new(&world, p->rec, err) : drive(&world, job_id, err);
    tell_sign_in(app->controller);
    return code;
}

/* Others are looking at the job right now, with eyes as fresh as ours. */
static enum err_code leave_to_others(enum err_code code, const struct err *err)
{
    if (code != ERR_CONFLICT)
        return code;
    log_line(LOG_INFO, "%s", err->msg);
    return OK;
}

enum err_code app_drive(const struct app *app, const struct invocation *inv, const char *job_id, struct err *err)
{
    enum err_code code = drive_one(app, inv, job_id, &(struct purpose){0}, err);

    return leave_to_others(code, err);
}

enum err_code app_order(const struct app *app, const struct invocation *inv, const char *job_id, enum job_order order, int64_t extend_s,
                        struct err *err)
{
    return drive_one(app, inv, job_id, &(struct purpose){.order = order, .extend_s = extend_s}, err);
}

enum err_code app_drive_new(const struct app *app, const struct invocation *inv, struct record *rec, struct err *err)
{
    enum err_code code = drive_one(app, inv, rec->job_id, &(struct purpose){.rec = rec}, err);

    return rec->etag[0] == '\0' ? code : leave_to_others(code, err);
}
