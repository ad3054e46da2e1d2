#include "controller/control.h"

#define CONTROL_MAX 1024
#define TURNS_MAX 4 /* each means that somebody else wrote in between */

/* Whether it grants at least what the record grants. No handler writes a time beyond the hard stop: such a one is written over. */
static bool grants_enough(const struct str *text, const struct job_state *s)
{
    struct err err = {0};
    AUTO_JSON doc = NULL;

    if (json_parse(text->p, text->len, 4, &doc, &err) != OK)
        return false;
    int64_t deadline_s = json_get_int(doc, "deadline_s", 0);
    return deadline_s >= s->deadline_s && deadline_s <= s->hard_stop_s;
}

/* One turn: read, and write unless as much or more is granted already. ERR_CONFLICT: somebody was faster. */
static enum err_code write_once(const struct storage *s, const char *name, const struct job_state *state, const struct str *body,
                                struct err *err)
{
    AUTO_STR there = STR_MAX(CONTROL_MAX);
    struct blob_info info = {0};
    enum err_code code = blob_get(s, CONTAINER_FILES, name, &there, &info, err);
    enum blob_condition condition = code == ERR_ABSENT ? BLOB_IF_ABSENT : BLOB_IF_MATCH;

    if (code == OK && grants_enough(&there, state))
        return OK;
    if (code == ERR_TOO_LARGE)
        condition = BLOB_ANY; /* not ours, and not read: written over */
    else if (code != OK && code != ERR_ABSENT)
        return code;
    return blob_put(s, CONTAINER_FILES, name, body->p, body->len, "application/json", condition, info.etag, NULL, err);
}

enum err_code control_write(const struct errand *e, const struct record *rec, struct err *err)
{
    AUTO_STR body = STR_MAX(CONTROL_MAX);
    char name[BLOB_NAME_MAX];
    enum err_code code;

    controller_control(rec, name);
    json_open(&body, NULL, '{');
    json_put_int(&body, "v", 1);
    json_put_int(&body, "deadline_s", rec->state.deadline_s);
    json_put_int(&body, "train_until_s", rec->state.train_until_s);
    json_close(&body, '}');
    code = str_check(&body, "control", err);
    if (code != OK)
        return code;
    code = ERR_CONFLICT;
    for (int turn = 0; turn < TURNS_MAX && code == ERR_CONFLICT; turn++)
        code = write_once(&e->c->storage, name, &rec->state, &body, err);
    return code != ERR_CONFLICT ? code : err_set(err, code, "job %s: others kept writing its control", rec->job_id);
}
