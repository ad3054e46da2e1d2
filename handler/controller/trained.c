#include "controller/trained.h"

#include <stdio.h>

#include "azure/blob.h"
#include "job/names.h"

#define FILE_MAX_ 4096

static void file_of(const struct request *r, char out[128])
{
    char digest[65];

    request_digest(r, digest);
    snprintf(out, 128, "trained/%s.json", digest);
}

enum err_code trained_keep(const struct storage *s, const struct record *rec, int64_t succeeded_s, struct err *err)
{
    char file[128];
    AUTO_STR text = STR_MAX(FILE_MAX_);

    file_of(&rec->request, file);
    json_open(&text, NULL, '{');
    json_put_int(&text, "v", 1);
    json_put_text(&text, "job_name", rec->request.job_name);
    json_put_text(&text, "zip_etag", rec->zip_etag);
    json_put_int(&text, "zip_size", rec->zip_size);
    json_put_int(&text, "succeeded_s", succeeded_s);
    json_close(&text, '}');
    enum err_code code = str_check(&text, file, err);
    return code != OK ? code : blob_put(s, CONTAINER_JOBS, file, text.p, text.len, "application/json", BLOB_ANY, NULL, NULL, err);
}

enum err_code trained_find(const struct storage *s, const struct request *r, struct trained *out, struct err *err)
{
    char file[128];
    AUTO_STR text = STR_MAX(FILE_MAX_);
    AUTO_JSON doc = NULL;

    file_of(r, file);
    enum err_code code = blob_get(s, CONTAINER_JOBS, file, &text, NULL, err);
    if (code == OK)
        code = json_parse(text.p, text.len, 4, &doc, err);
    if (code != OK)
        return code;
    *out = (struct trained){.zip_size = json_get_int(doc, "zip_size", 0), .succeeded_s = json_get_int(doc, "succeeded_s", 0)};
    str_copy(out->job_name, sizeof out->job_name, json_get_text(doc, "job_name"));
    str_copy(out->zip_etag, sizeof out->zip_etag, json_get_text(doc, "zip_etag"));
    return OK;
}
