/* storage.h - one storage account: its connection string, its endpoints, and one call that signs and reads errors the same way for blobs,
 * files and queues.
 *
 * Thread rule: a struct storage is read-only after storage_open and shared by all threads. The account key never leaves azure/sign.c. */
#ifndef STORAGE_H
#define STORAGE_H
#include "base/str.h"
#include "http/http.h"

#define STORAGE_VERSION "2025-07-05"

struct storage {
    char account[64];
    struct secret key;                     /* decoded bytes */
    char blob[256], queue[256], file[256]; /* endpoints without a trailing slash; "" when the connection string has none */
    const struct http *http;
    int64_t call_ms; /* limit of one call with its retries; default 30 s */
};

/* Parses every form of connection string (facts: names without case, any order, blanks and quotes tolerated, first `=` splits,
 * UseDevelopmentStorage=true, explicit endpoints, EndpointSuffix, *SecondaryEndpoint ignored). A SAS instead of a key is ERR_INPUT in
 * words: grants could not be signed. Messages never hold a value but the field's name. Everything in *s is written (nothing is owned
 * before); the caller sets http afterwards. */
enum err_code storage_parse(const char *connection_string, struct storage *s, struct err *err) MUST_CHECK;
void storage_done(struct storage *s);
/* The account as it is reached from elsewhere: an emulator's endpoints (http) with another host; "": as it is. Borrows the key. */
struct storage storage_at(const struct storage *s, const char *host);

enum storage_service { STORAGE_BLOB, STORAGE_QUEUE, STORAGE_FILE };
/* Starts a request on "/<path>[?query]" of a service (path and query already escaped), with version header and Shared Key authorizer. */
void storage_request(const struct storage *s, enum storage_service service, const char *method, const char *path_and_query,
                     struct http_request *req);
/* Sends it. 2xx is OK; 404 ERR_ABSENT; 409 and 412 ERR_CONFLICT; everything else ERR_REFUSED or ERR_UNREACHABLE; err->remote is
 * x-ms-error-code or the XML's Code. res may be NULL when the answer does not matter. */
enum err_code storage_send(const struct storage *s, struct http_request *req, struct http_response *res, struct err *err) MUST_CHECK;
#endif
