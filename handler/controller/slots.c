/* slots.json of the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "azure/blob.h"
#include "controller/ledger.h"

#define SLOTS "slots.json"
#define FILE_MAX_ (256 * 1024)
#define TRIES 8 /* each conflict means that somebody else got on */

/* slots.json as two ordered lists of job_ids. */
struct slots {
    struct json *doc;
    char etag[ETAG_MAX];
};

static void slots_done(struct slots *s)
{
    json_free(s->doc);
}

static enum err_code read_slots(const struct storage *s, struct slots *now, struct err *err)
{
    struct blob_info info;
    AUTO_STR text = STR_MAX(FILE_MAX_);
    enum err_code code = blob_get(s, CONTAINER_JOBS, SLOTS, &text, &info, err);

    *now = (struct slots){0};
    if (code == ERR_ABSENT)
        return OK;
    if (code == OK)
        code = json_parse(text.p, text.len, 4, &now->doc, err);
    if (code == OK && json_get_int(now->doc, "v", 0) != 1)
        code = err_set(err, ERR_INPUT, "version %lld is not known here", (long long)json_get_int(now->doc, "v", 0));
    if (code != OK)
        return err_context(err, SLOTS);
    str_copy(now->etag, sizeof now->etag, info.etag);
    return OK;
}

/* 1-based position, 0 when it is not there. */
static size_t position(const struct json *list, const char *job_id)
{
    for (size_t i = 0; i < json_len(list); i++)
        if (str_is(json_text(json_at(list, i)), job_id))
            return i + 1;
    return 0;
}

/* The list again: without the job, or with it at its end. */
static void write_list(struct str *to, const char *name, const struct json *list, const char *job_id, bool in)
{
    json_open(to, name, '[');
    for (size_t i = 0; i < json_len(list); i++) {
        const char *job = json_text(json_at(list, i));
        if (job != NULL && !str_is(job, job_id))
            json_put_text(to, NULL, job);
    }
    if (in)
        json_put_text(to, NULL, job_id);
    json_close(to, ']');
}

/* Both lists again, with the job in at most one of them. */
static enum err_code write_slots(const struct storage *s, const struct slots *now, const char *job_id, bool holds, bool waits,
                                 struct err *err)
{
    AUTO_STR text = STR_MAX(FILE_MAX_);

    json_open(&text, NULL, '{');
    json_put_int(&text, "v", 1);
    write_list(&text, "holders", json_get(now->doc, "holders"), job_id, holds);
    write_list(&text, "waiting", json_get(now->doc, "waiting"), job_id, waits);
    json_close(&text, '}');
    enum err_code code = str_check(&text, SLOTS, err);
    return code != OK ? code
                      : blob_put(s, CONTAINER_JOBS, SLOTS, text.p, text.len, "application/json",
                                 now->etag[0] == '\0' ? BLOB_IF_ABSENT : BLOB_IF_MATCH, now->etag, NULL, err);
}

/* Gives back what late drives have taken for jobs that are closed; true if there was any. */
static bool free_of_closed(const struct storage *s, const struct json *list, size_t most)
{
    bool any = false;

    for (size_t i = 0; i < json_len(list) && i < most; i++) {
        const char *job = json_text(json_at(list, i));
        if (job != NULL && ledger_is_over(s, job))
            any |= ledger_free_slot(s, job, NULL) == OK;
    }
    return any;
}

static enum err_code take_slot_once(const struct storage *s, const char *job_id, int32_t max_jobs, int64_t *place, struct err *err)
{
    __attribute__((cleanup(slots_done))) struct slots now = {0};
    enum err_code code = read_slots(s, &now, err);

    if (code != OK)
        return code;
    const struct json *holders = json_get(now.doc, "holders"), *waiting = json_get(now.doc, "waiting");
    *place = 0;
    if (position(holders, job_id) > 0)
        return OK;
    size_t taken = json_len(holders), at = position(waiting, job_id);
    size_t free_slots = (size_t)max_jobs > taken ? (size_t)max_jobs - taken : 0;
    size_t turn = at > 0 ? at : json_len(waiting) + 1;
    bool mine = turn <= free_slots;
    /* The first in line looks at the holders, who waits behind looks at the first: one read a look, not one for each slot. */
    if (!mine && ((turn == 1 && free_of_closed(s, holders, (size_t)max_jobs)) || (at > 1 && free_of_closed(s, waiting, 1))))
        return ERR_CONFLICT; /* the file has changed: look again */
    if (!mine)
        *place = (int64_t)turn;
    if (!mine && at > 0)
        return OK; /* waits already */
    return write_slots(s, &now, job_id, mine, !mine, err);
}

enum err_code ledger_take_slot(const struct storage *s, const char *job_id, int32_t max_jobs, int64_t *place, struct err *err)
{
    enum err_code code = ERR_CONFLICT;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++) {
        if (i > 0)
            clock_pause(s->http->clock, i);
        code = take_slot_once(s, job_id, max_jobs, place, err);
    }
    return code == OK ? OK : err_context(err, "slot");
}

static enum err_code free_slot_once(const struct storage *s, const char *job_id, struct err *err)
{
    __attribute__((cleanup(slots_done))) struct slots now = {0};
    enum err_code code = read_slots(s, &now, err);

    if (code != OK)
        return code;
    const struct json *holders = json_get(now.doc, "holders"), *waiting = json_get(now.doc, "waiting");
    if (position(holders, job_id) == 0 && position(waiting, job_id) == 0)
        return OK;
    return write_slots(s, &now, job_id, false, false, err);
}

enum err_code ledger_free_slot(const struct storage *s, const char *job_id, struct err *err)
{
    enum err_code code = ERR_CONFLICT;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++) {
        if (i > 0)
            clock_pause(s->http->clock, i);
        code = free_slot_once(s, job_id, err);
    }
    return code == OK ? OK : err_context(err, "slot");
}

enum err_code ledger_slot_jobs(const struct storage *s, char (**ret)[JOB_ID_MAX], size_t *count, struct err *err)
{
    __attribute__((cleanup(slots_done))) struct slots now = {0};
    enum err_code code = read_slots(s, &now, err);
    const struct json *list[] = {json_get(now.doc, "holders"), json_get(now.doc, "waiting")};

    *count = 0;
    *ret = NULL;
    if (code != OK)
        return code;
    *ret = calloc(json_len(list[0]) + json_len(list[1]) + 1, sizeof **ret);
    if (*ret == NULL)
        return err_set(err, ERR_MEMORY, "slots: no memory");
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < json_len(list[l]); i++)
            if (json_text(json_at(list[l], i)) != NULL)
                str_copy((*ret)[(*count)++], sizeof **ret, json_text(json_at(list[l], i)));
    return OK;
}
