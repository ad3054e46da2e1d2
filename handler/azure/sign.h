/* sign.h - Shared Key signatures and service SAS. Pure; the vectors in tests/vectors were accepted by a real server. */
#ifndef SIGN_H
#define SIGN_H
#include "azure/storage.h"

/* The string-to-sign of a request as it is about to be sent (headers must hold x-ms-date and x-ms-version). */
void sign_string(const char *account, const struct http_request *req, struct str *to);
/* Adds x-ms-date and Authorization. ctx of the http_authorizer is a const struct storage *. */
enum err_code sign_authorize(void *storage, struct http_request *req, int64_t now_s, struct err *err);

/* Appends a whole SAS URL for one object. permissions in the order Azure emits (blob racwd..., file rcwdl, queue raup). Times in s since
 * 1970. spr=https is set when the endpoint is https. ERR_INPUT for a name that is empty. */
enum err_code sign_blob_url(const struct storage *s, const char *container, const char *blob, const char *permissions, int64_t start_s,
                            int64_t expiry_s, struct str *url, struct err *err) MUST_CHECK;
enum err_code sign_file_url(const struct storage *s, const char *share, const char *path, const char *permissions, int64_t start_s,
                            int64_t expiry_s, struct str *url, struct err *err) MUST_CHECK;
enum err_code sign_queue_url(const struct storage *s, const char *queue, const char *permissions, int64_t start_s, int64_t expiry_s,
                             struct str *url, struct err *err) MUST_CHECK; /* .../<queue>/messages?... */
#endif
