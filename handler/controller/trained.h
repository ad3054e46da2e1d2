/* trained.h - what was trained and published, found by content: container jobs, trained/<digest of the request>.json. One file for each
 * different request, overwritten by the next; reading it costs one request, whatever the history. */
#ifndef TRAINED_H
#define TRAINED_H
#include "azure/storage.h"
#include "job/record.h"

struct trained {
    char job_name[JOB_ID_MAX], zip_etag[80];
    int64_t zip_size, succeeded_s;
};
enum err_code trained_keep(const struct storage *s, const struct record *rec, int64_t succeeded_s, struct err *err) MUST_CHECK;
/* ERR_ABSENT: nothing was trained with this request. The zip may have changed since: compare. */
enum err_code trained_find(const struct storage *s, const struct request *r, struct trained *out, struct err *err) MUST_CHECK;
#endif
