#include "base/log.h"
#include "controller/tell.h"
#include "controller/world.h"
#include "functions/functions.h"

/* rec: one that is not saved yet, or NULL. */
static enum err_code drive_one(const struct app *app, const struct invocation *inv, const char *job_id, struct record *rec, struct err *err)
{
    struct errand e = {.c = app->controller, .until_s = inv->deadline_s};
    struct job_world world = world_of(&e);

    log_scope(inv->id, job_id);
    http_scope(inv->deadline_ms);
    enum err_code code = rec != NULL ? drive_new(&world, rec, err) : drive(&world, job_id, err);
    tell_sign_in(app->controller);
    if (rec != NULL && rec->etag[0] == '\0')
        return code;
    if (code == ERR_CONFLICT) { /* others are looking at it right now, with eyes as fresh as ours */
        log_line(LOG_INFO, "%s", err->msg);
        return OK;
    }
    return code;
}

enum err_code app_drive(const struct app *app, const struct invocation *inv, const char *job_id, struct err *err)
{
    return drive_one(app, inv, job_id, NULL, err);
}

enum err_code app_order(const struct app *app, const struct invocation *inv, const char *job_id, enum job_order order, int64_t extend_s,
                        struct err *err)
{
    struct errand e = {.c = app->controller, .until_s = inv->deadline_s};
    struct job_world world = world_of(&e);

    world.order = order;
    world.extend_s = extend_s;
    log_scope(inv->id, job_id);
    http_scope(inv->deadline_ms);
    return drive(&world, job_id, err);
}

enum err_code app_drive_new(const struct app *app, const struct invocation *inv, struct record *rec, struct err *err)
{
    return drive_one(app, inv, rec->job_id, rec, err);
}
