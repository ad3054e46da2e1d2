/* blob.h - the few Blob (and queue) calls that are needed. Names are given plain and escaped here. ETags are kept quoted, as the service
 * sends them. */
#ifndef BLOB_H
#define BLOB_H
#include "azure/storage.h"

#define ETAG_MAX 80

enum blob_condition { BLOB_ANY, BLOB_IF_ABSENT, BLOB_IF_MATCH };
struct blob_info {
    char etag[ETAG_MAX];
    int64_t size, modified_s;
    char meta_job[96], meta_version[24]; /* x-ms-meta-job, x-ms-meta-version */
    char encoding[32];                   /* Content-Encoding; "" as it should be */
    char copy_status[16];                /* success, pending, failed, aborted or "" */
};
/* Whole blob into body (body->max bounds it). info may be NULL. */
enum err_code blob_get(const struct storage *s, const char *container, const char *name, struct str *body, struct blob_info *info,
                       struct err *err) MUST_CHECK;
enum err_code blob_head(const struct storage *s, const char *container, const char *name, struct blob_info *info,
                        struct err *err) MUST_CHECK;
/* Streams the content at exactly this ETag (If-Match; ERR_CONFLICT when it changed) into size and sha256. */
enum err_code blob_hash(const struct storage *s, const char *container, const char *name, struct blob_info *info, char hex[65],
                        struct err *err) MUST_CHECK;
/* Puts a block blob. etag is read for BLOB_IF_MATCH and, if etag_out is not NULL, the new one is stored there. ERR_CONFLICT: somebody was
 * first (an answer that was lost and repeated looks the same: callers read back). A missing container is made and the put repeated. */
enum err_code blob_put(const struct storage *s, const char *container, const char *name, const void *body, size_t len,
                       const char *content_type, enum blob_condition condition, const char *etag, char etag_out[ETAG_MAX],
                       struct err *err) MUST_CHECK;
/* Server-side copy within the account; source at exactly source_etag. Condition and etag are the target's. Metadata job and version are set
 * on the copy. copy_status is filled. */
enum err_code blob_copy(const struct storage *s, const char *from_container, const char *from, const char *source_etag,
                        const char *to_container, const char *to, enum blob_condition condition, const char *etag, const char *meta_job,
                        const char *meta_version, char copy_status[16], struct err *err) MUST_CHECK;
/* Absent is OK. etag "" deletes whatever is there, else If-Match. */
enum err_code blob_delete(const struct storage *s, const char *container, const char *name, const char *etag, struct err *err) MUST_CHECK;
/* Every blob below prefix, all pages, in name order. Return false to stop. A missing container is an empty list. */
typedef bool (*blob_visit)(void *ctx, const char *name, const struct blob_info *info);
enum err_code blob_list(const struct storage *s, const char *container, const char *prefix, blob_visit visit, void *ctx,
                        struct err *err) MUST_CHECK;

enum err_code blob_create_container(const struct storage *s, const char *container, struct err *err) MUST_CHECK; /* exists: OK */
enum err_code queue_create(const struct storage *s, const char *queue, struct err *err) MUST_CHECK;              /* exists: OK */
/* Whether it is there, without making it: ERR_ABSENT when it is not. */
enum err_code blob_find_container(const struct storage *s, const char *container, struct err *err) MUST_CHECK;
enum err_code queue_find(const struct storage *s, const char *queue, struct err *err) MUST_CHECK;
#endif
