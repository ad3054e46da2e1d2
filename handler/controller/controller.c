#include "controller/controller.h"

#include <stdio.h>

enum err_code controller_arm(struct controller *c, const struct record *rec, struct arm *ret, struct err *err)
{
    enum err_code code = OK;

    pthread_mutex_lock(&c->lock);
    if (rec->subscription[0] == '\0' && c->arm.subscription[0] == '\0')
        code = arm_only_subscription(&c->arm, c->arm.subscription, err);
    *ret = c->arm;
    pthread_mutex_unlock(&c->lock);
    if (rec->subscription[0] != '\0')
        str_copy(ret->subscription, sizeof ret->subscription, rec->subscription);
    return code;
}

static enum err_code make_storage(const struct storage *s, struct err *err)
{
    static const char *const containers[] = {CONTAINER_JOBS, CONTAINER_FILES, CONTAINER_MODEL},
                             *const queues[] = {QUEUE_MESSAGES, QUEUE_BELL}, *const shares[] = {SHARE_TRAIN, SHARE_LOGS};
    enum err_code code = OK;

    for (size_t i = 0; code == OK && i < sizeof containers / sizeof *containers; i++)
        code = blob_create_container(s, containers[i], err);
    for (size_t i = 0; code == OK && i < sizeof queues / sizeof *queues; i++)
        code = queue_create(s, queues[i], err);
    for (size_t i = 0; code == OK && i < sizeof shares / sizeof *shares; i++)
        code = files_create_share(s, shares[i], err);
    return code;
}

enum err_code controller_storage(struct controller *c, struct err *err)
{
    enum err_code code = OK;

    pthread_mutex_lock(&c->lock);
    if (!c->storage_made)
        code = make_storage(&c->storage, err);
    c->storage_made |= code == OK;
    pthread_mutex_unlock(&c->lock);
    return code;
}

bool controller_storage_is_made(struct controller *c)
{
    pthread_mutex_lock(&c->lock);
    bool made = c->storage_made;
    pthread_mutex_unlock(&c->lock);
    return made;
}

int64_t controller_now_s(const struct controller *c)
{
    return clock_now_s(c->clock);
}

void controller_group(const struct record *rec, char out[GROUP_MAX])
{
    names_group(rec->group_prefix, rec->slug, rec->state.attempt, out);
}

void controller_out(const struct record *rec, const char *file, char out[BLOB_NAME_MAX])
{
    snprintf(out, BLOB_NAME_MAX, "out/%s/%d/%s", rec->job_id, rec->state.attempt, file);
}

void controller_claim(const struct record *rec, char out[BLOB_NAME_MAX])
{
    snprintf(out, BLOB_NAME_MAX, "claim/%s/%d", rec->job_id, rec->state.attempt);
}

void controller_status(const struct record *rec, char out[BLOB_NAME_MAX])
{
    snprintf(out, BLOB_NAME_MAX, "status/%s/%d.json", rec->job_id, rec->state.attempt);
}

void controller_scripts(const struct record *rec, char out[BLOB_NAME_MAX])
{
    snprintf(out, BLOB_NAME_MAX, "scripts/%s.tar.gz", rec->scripts_sha256);
}

void controller_control(const struct record *rec, char out[BLOB_NAME_MAX])
{
    snprintf(out, BLOB_NAME_MAX, "control/%s.json", rec->job_id);
}

void controller_validation(const char *line, char out[BLOB_NAME_MAX])
{
    snprintf(out, BLOB_NAME_MAX, "validation/%s.zip", line);
}
