/* pointer.h - model/<line>/current.json, as devices read it. */
#ifndef POINTER_H
#define POINTER_H
#include "azure/blob.h"
#include "job/record.h"

struct pointer {
    int64_t version;         /* 0: there is none, or it cannot be read */
    int64_t from_version;    /* the version whose files it has again, after a rollback; 0: its own */
    char job_id[JOB_ID_MAX]; /* that made the files */
    char etag[ETAG_MAX];     /* "": absent */
};
enum err_code pointer_read(const struct storage *s, const char *line, struct pointer *out, struct err *err) MUST_CHECK;
/* If-Match on the ETag that was read. ERR_CONFLICT: it was moved meanwhile, or this was done before and its reply was lost. */
enum err_code pointer_write(const struct storage *s, const struct record *rec, const struct manifest *m, int64_t now_s, const char *etag,
                            struct err *err) MUST_CHECK;
#endif
