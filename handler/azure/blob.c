#include "azure/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"

/* Starts a request on one blob. */
static void start(const struct storage *s, const char *method, const char *container, const char *name, struct http_request *req)
{
    AUTO_STR path = STR_MAX(8000);
    str_add(&path, "/");
    str_add_percent(&path, container);
    str_add(&path, "/");
    str_add_path(&path, name);
    storage_request(s, STORAGE_BLOB, method, str_c(&path), req);
}

static void set_condition(struct http_request *req, enum blob_condition condition, const char *etag)
{
    if (condition == BLOB_IF_ABSENT)
        http_set(&req->headers, "If-None-Match", "*");
    else if (condition == BLOB_IF_MATCH)
        http_set(&req->headers, "If-Match", etag && etag[0] ? etag : "\"none\""); /* never unconditional by mistake */
}

static int64_t to_size(const char *text)
{
    char *end = NULL;
    long long size = text && text[0] >= '0' && text[0] <= '9' ? strtoll(text, &end, 10) : 0;
    return end && *end == '\0' ? size : 0;
}

static void read_info(const struct http_response *res, struct blob_info *info)
{
    const struct http_headers *h = &res->headers;
    *info = (struct blob_info){.size = to_size(http_get(h, "content-length"))};
    str_copy(info->etag, sizeof info->etag, http_get(h, "etag"));
    (void)date_parse_http(http_get(h, "last-modified"), &info->modified_s);
    str_copy(info->meta_job, sizeof info->meta_job, http_get(h, "x-ms-meta-job"));
    str_copy(info->meta_version, sizeof info->meta_version, http_get(h, "x-ms-meta-version"));
    str_copy(info->encoding, sizeof info->encoding, http_get(h, "content-encoding"));
    str_copy(info->copy_status, sizeof info->copy_status, http_get(h, "x-ms-copy-status"));
}

enum err_code blob_get(const struct storage *s, const char *container, const char *name, struct str *body, struct blob_info *info,
                       struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    start(s, "GET", container, name, &req);
    req.answer_max = body->max;
    enum err_code code = storage_send(s, &req, &res, err);
    if (code)
        return code;
    if (info) {
        read_info(&res, info);
        info->size = (int64_t)res.body.len;
    }
    /* The answer's memory becomes the caller's: nothing is copied. */
    str_done(body);
    *body = res.body;
    res.body = STR_MAX(0);
    return OK;
}

enum err_code blob_head(const struct storage *s, const char *container, const char *name, struct blob_info *info, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    start(s, "HEAD", container, name, &req);
    enum err_code code = storage_send(s, &req, &res, err);
    if (!code)
        read_info(&res, info);
    return code;
}

struct hashing {
    struct sha256 *sha;
    int64_t size;
};

static bool hash_piece(void *ctx, const void *bytes, size_t len)
{
    struct hashing *h = ctx;
    h->size += (int64_t)len;
    return h->sha && sha256_add(h->sha, bytes, len);
}

static void hash_again(void *ctx)
{
    struct hashing *h = ctx;
    sha256_free(h->sha);
    h->sha = sha256_new();
    h->size = 0;
}

static void hashing_done(struct hashing *h)
{
    sha256_free(h->sha);
}

enum err_code blob_hash(const struct storage *s, const char *container, const char *name, struct blob_info *info, char hex[65],
                        struct err *err)
{
    __attribute__((cleanup(hashing_done))) struct hashing h = {.sha = sha256_new()};
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    hex[0] = '\0';
    start(s, "GET", container, name, &req);
    set_condition(&req, info->etag[0] ? BLOB_IF_MATCH : BLOB_ANY, info->etag);
    req.sink = hash_piece;
    req.restart = hash_again;
    req.sink_ctx = &h;
    req.attempt_ms = s->call_ms; /* large content needs the whole time; a peer that stalls is noticed by the transport */
    enum err_code code = storage_send(s, &req, &res, err);
    if (code)
        return code;
    read_info(&res, info);
    info->size = h.size;
    if (!h.sha || !sha256_end(h.sha, hex))
        return err_set(err, ERR_INTERNAL, "SHA-256 failed");
    return OK;
}

/* Sends a write; when the container is missing, makes it and sends the write once more. */
static enum err_code send_write(const struct storage *s, const char *container, struct http_request *req, struct http_response *res,
                                struct err *err)
{
    struct err local;
    if (!err)
        err = &local;
    enum err_code code = storage_send(s, req, res, err);
    if (code != ERR_ABSENT || !str_is(err->remote, "ContainerNotFound"))
        return code;
    code = blob_create_container(s, container, err);
    return code ? code : storage_send(s, req, res, err);
}

enum err_code blob_put(const struct storage *s, const char *container, const char *name, const void *body, size_t len,
                       const char *content_type, enum blob_condition condition, const char *etag, char etag_out[ETAG_MAX], struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    start(s, "PUT", container, name, &req);
    set_condition(&req, condition, etag);
    http_set(&req.headers, "Content-Type", content_type);
    http_set(&req.headers, "x-ms-blob-type", "BlockBlob");
    req.body = body;
    req.body_len = len;
    enum err_code code = send_write(s, container, &req, &res, err);
    if (!code && etag_out)
        str_copy(etag_out, ETAG_MAX, http_get(&res.headers, "etag"));
    return code;
}

enum err_code blob_copy(const struct storage *s, const char *from_container, const char *from, const char *source_etag,
                        const char *to_container, const char *to, enum blob_condition condition, const char *etag, const char *meta_job,
                        const char *meta_version, char copy_status[16], struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_STR source = STR_MAX(8000);
    str_addf(&source, "%s/", s->blob);
    str_add_percent(&source, from_container);
    str_add(&source, "/");
    str_add_path(&source, from);
    start(s, "PUT", to_container, to, &req);
    set_condition(&req, condition, etag);
    http_set(&req.headers, "x-ms-copy-source", str_c(&source));
    http_set(&req.headers, "x-ms-source-if-match", source_etag);
    http_set(&req.headers, "x-ms-meta-job", meta_job);
    http_set(&req.headers, "x-ms-meta-version", meta_version);
    enum err_code code = storage_send(s, &req, &res, err);
    if (!code)
        str_copy(copy_status, 16, http_get(&res.headers, "x-ms-copy-status"));
    return code;
}

enum err_code blob_delete(const struct storage *s, const char *container, const char *name, const char *etag, struct err *err)
{
    AUTO_REQUEST req = {0};
    start(s, "DELETE", container, name, &req);
    set_condition(&req, etag && etag[0] ? BLOB_IF_MATCH : BLOB_ANY, etag);
    enum err_code code = storage_send(s, &req, NULL, err);
    return code == ERR_ABSENT ? OK : code;
}

/* Starts a request on a container or queue. */
static void start_on(const struct storage *s, enum storage_service service, const char *method, const char *name, const char *query,
                     struct http_request *req)
{
    AUTO_STR path = STR_MAX(1024);
    str_add(&path, "/");
    str_add_percent(&path, name);
    str_add(&path, query);
    storage_request(s, service, method, str_c(&path), req);
}

/* PUT of a thing that may be there already, which the service says with `exists`. */
static enum err_code create(const struct storage *s, enum storage_service service, const char *name, const char *query, const char *exists,
                            struct err *err)
{
    AUTO_REQUEST req = {0};
    struct err local;
    if (!err)
        err = &local;
    start_on(s, service, "PUT", name, query, &req);
    enum err_code code = storage_send(s, &req, NULL, err);
    return code == ERR_CONFLICT && str_is(err->remote, exists) ? OK : code;
}

enum err_code blob_create_container(const struct storage *s, const char *container, struct err *err)
{
    return create(s, STORAGE_BLOB, container, "?restype=container", "ContainerAlreadyExists", err);
}

enum err_code queue_create(const struct storage *s, const char *queue, struct err *err)
{
    return create(s, STORAGE_QUEUE, queue, "", "QueueAlreadyExists", err);
}

enum err_code blob_find_container(const struct storage *s, const char *container, struct err *err)
{
    AUTO_REQUEST req = {0};
    start_on(s, STORAGE_BLOB, "GET", container, "?restype=container", &req);
    return storage_send(s, &req, NULL, err);
}

enum err_code queue_find(const struct storage *s, const char *queue, struct err *err)
{
    AUTO_REQUEST req = {0};
    start_on(s, STORAGE_QUEUE, "GET", queue, "?comp=metadata", &req);
    return storage_send(s, &req, NULL, err);
}
