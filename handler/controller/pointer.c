#include "controller/pointer.h"

#include <stdio.h>

#include "job/names.h"

#define POINTER_MAX (64 * 1024)

static void name_of(const char *line, char out[64])
{
    snprintf(out, 64, "%s/current.json", line);
}

enum err_code pointer_read(const struct storage *s, const char *line, struct pointer *out, struct err *err)
{
    char name[64];
    struct blob_info info = {0};
    AUTO_STR text = STR_MAX(POINTER_MAX);
    AUTO_JSON doc = NULL;

    *out = (struct pointer){0};
    name_of(line, name);
    enum err_code code = blob_get(s, CONTAINER_MODEL, name, &text, &info, err);
    if (code == ERR_ABSENT)
        return OK;
    if (code != OK)
        return code;
    str_copy(out->etag, sizeof out->etag, info.etag);
    if (json_parse(text.p, text.len, 4, &doc, NULL) != OK)
        return OK;
    out->version = json_get_int(doc, "version", 0);
    out->from_version = json_get_int(doc, "from_version", 0);
    str_copy(out->job_id, sizeof out->job_id, json_get_text(doc, "job_id"));
    return OK;
}

enum err_code pointer_write(const struct storage *s, const struct record *rec, const struct manifest *m, int64_t now_s, const char *etag,
                            struct err *err)
{
    char name[64];
    AUTO_STR text = STR_MAX(POINTER_MAX);

    name_of(rec->request.line, name);
    json_open(&text, NULL, '{');
    json_put_int(&text, "v", 1);
    json_put_text(&text, "line", rec->request.line);
    json_put_int(&text, "version", rec->state.version);
    json_put_text(&text, "job_id", record_maker(rec));
    if (rec->release != RELEASE_NONE)
        json_put_text(&text, "released_by", rec->job_id);
    if (rec->from_version > 0)
        json_put_int(&text, "from_version", rec->from_version);
    json_put_text(&text, "task", task_name(rec->request.task));
    json_open(&text, "classes", '[');
    for (int32_t i = 0; i < m->classes_count; i++)
        json_put_text(&text, NULL, m->class_name[i]);
    json_close(&text, ']');
    json_put_bool(&text, "breaking", rec->breaking != 0);
    json_put_text(&text, "manifest_sha256", rec->manifest_sha256);
    json_put_int(&text, "published_s", now_s);
    json_close(&text, '}');
    enum err_code code = str_check(&text, name, err);
    if (code != OK)
        return code;
    return blob_put(s, CONTAINER_MODEL, name, str_c(&text), text.len, "application/json", *etag == '\0' ? BLOB_IF_ABSENT : BLOB_IF_MATCH,
                    etag, NULL, err);
}
