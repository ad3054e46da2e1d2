#include "base/log.h"
#include "controller/world.h"
#include "functions/functions.h"

enum err_code app_drive(const struct app *app, const struct invocation *inv, const char *job_id, struct err *err)
{
    struct errand e = {.c = app->controller, .until_s = inv->deadline_s};
    struct job_world world = world_of(&e);

    log_scope(inv->id, job_id);
    http_scope(inv->deadline_ms);
    return drive(&world, job_id, err);
}
