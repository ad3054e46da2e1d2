/* lines/<line>.json of the ledger. */
#include <stdio.h>
#include <stdlib.h>

#include "azure/blob.h"
#include "controller/ledger.h"

#define LINE_FILE_MAX (128 * 1024)
#define TRIES 8 /* each conflict means that somebody else got on */

void line_done(struct line *l)
{
    free(l->class_name);
    l->class_name = NULL;
}

static void line_file(const char *line, char out[128])
{
    snprintf(out, 128, "lines/%s.json", line);
}

static enum err_code read_line(const char *text, size_t len, struct line *out, struct err *err)
{
    AUTO_JSON doc = NULL;
    enum err_code code = json_parse(text, len, 4, &doc, err);

    if (code != OK)
        return code;
    if (json_get_int(doc, "v", 0) != 1)
        return err_set(err, ERR_INPUT, "version %lld is not known here", (long long)json_get_int(doc, "v", 0));
    str_copy(out->task, sizeof out->task, json_get_text(doc, "task"));
    str_copy(out->job_id, sizeof out->job_id, json_get_text(doc, "job_id"));
    out->version = json_get_int(doc, "version", 0);
    out->taken = json_get_int(doc, "taken", out->version);
    const struct json *classes = json_get(doc, "classes");
    if (json_len(classes) == 0)
        return OK;
    out->class_name = calloc(json_len(classes), sizeof *out->class_name);
    if (out->class_name == NULL)
        return err_set(err, ERR_MEMORY, "no memory");
    for (size_t i = 0; i < json_len(classes); i++)
        str_copy(out->class_name[out->classes_count++], sizeof *out->class_name, json_text(json_at(classes, i)));
    return OK;
}

enum err_code ledger_line(const struct storage *s, const char *name, struct line *out, struct err *err)
{
    char file[128];
    struct blob_info info;
    AUTO_STR text = STR_MAX(LINE_FILE_MAX);

    *out = (struct line){0};
    line_file(name, file);
    enum err_code code = blob_get(s, CONTAINER_JOBS, file, &text, &info, err);
    if (code == ERR_ABSENT)
        return OK;
    if (code == OK)
        code = read_line(text.p, text.len, out, err);
    if (code != OK)
        return err_context(err, "line %s", name);
    str_copy(out->etag, sizeof out->etag, info.etag);
    return OK;
}

static enum err_code put_line(const struct storage *s, const char *name, const struct line *l, struct err *err)
{
    char file[128];
    AUTO_STR text = STR_MAX(LINE_FILE_MAX);

    line_file(name, file);
    json_open(&text, NULL, '{');
    json_put_int(&text, "v", 1);
    json_put_text(&text, "task", l->task);
    json_put_int(&text, "version", l->version);
    json_put_int(&text, "taken", l->taken);
    json_put_text(&text, "job_id", l->job_id);
    json_open(&text, "classes", '[');
    for (int32_t i = 0; i < l->classes_count; i++)
        json_put_text(&text, NULL, l->class_name[i]);
    json_close(&text, ']');
    json_close(&text, '}');
    enum err_code code = str_check(&text, file, err);
    if (code != OK)
        return code;
    return blob_put(s, CONTAINER_JOBS, file, text.p, text.len, "application/json", l->etag[0] == '\0' ? BLOB_IF_ABSENT : BLOB_IF_MATCH,
                    l->etag, NULL, err);
}

static enum err_code take_line_once(const struct storage *s, const struct line_taking *t, int64_t *version, bool *held, struct err *err)
{
    AUTO_LINE now = {0};
    enum err_code code = ledger_line(s, t->name, &now, err);

    *held = false;
    if (code != OK)
        return code;
    if (now.task[0] != '\0' && !str_is(now.task, t->task))
        return err_set(err, ERR_INPUT, "line %s carries %s models, this one is for %s", t->name, now.task, t->task);
    if (t->judge != NULL && !t->judge(t->ctx, &now))
        return err_set(err, ERR_REFUSED, "line %s is left as it is", t->name);
    *version = now.taken;
    if (str_is(now.job_id, t->job_id))
        return OK;
    if (now.job_id[0] != '\0' && !ledger_is_over(s, now.job_id)) {
        *held = true;
        return err_set(err, ERR_CONFLICT, "job %s publishes in line %s now", now.job_id, t->name);
    }
    str_copy(now.task, sizeof now.task, t->task);
    str_copy(now.job_id, sizeof now.job_id, t->job_id);
    now.taken = (now.taken > t->above ? now.taken : t->above) + 1;
    *version = now.taken;
    return put_line(s, t->name, &now, err);
}

enum err_code ledger_take_line(const struct storage *s, const struct line_taking *t, int64_t *version, struct err *err)
{
    enum err_code code = ERR_CONFLICT;
    bool held = false;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT && !held; i++) {
        if (i > 0)
            clock_pause(s->http->clock, i);
        code = take_line_once(s, t, version, &held, err);
    }
    return code;
}

static enum err_code free_line_once(const struct storage *s, const char *name, const char *job_id, const struct line *published,
                                    struct err *err)
{
    AUTO_LINE now = {0};
    enum err_code code = ledger_line(s, name, &now, err);

    if (code != OK || !str_is(now.job_id, job_id))
        return code;                                                    /* not ours (any more): nothing to give back */
    bool moves = published != NULL && published->version > now.version; /* never back: others may have published since */
    struct line free_line = moves ? *published : now;                   /* borrows the class names */
    free_line.taken = now.taken;
    str_copy(free_line.etag, sizeof free_line.etag, now.etag);
    free_line.job_id[0] = '\0';
    if (!moves && now.version == 0)
        free_line.task[0] = '\0'; /* nothing was ever published: the line is open to any task */
    return put_line(s, name, &free_line, err);
}

enum err_code ledger_free_line(const struct storage *s, const char *name, const char *job_id, const struct line *published, struct err *err)
{
    enum err_code code = ERR_CONFLICT;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++) {
        if (i > 0)
            clock_pause(s->http->clock, i);
        code = free_line_once(s, name, job_id, published, err);
    }
    return code == OK ? OK : err_context(err, "line %s", name);
}
