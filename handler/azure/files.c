#include "azure/files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/xml.h"

#define WRITE_MAX (4u * 1024 * 1024) /* one Put Range */
#define PAGE_BYTES (8u * 1024 * 1024)
#define PAGES_MAX 10000

static void start(const struct storage *s, const char *method, const char *share, const char *path, const char *query,
                  struct http_request *req)
{
    AUTO_STR url = STR_MAX(8000);
    str_add(&url, "/");
    str_add_percent(&url, share);
    if (path[0]) {
        str_add(&url, "/");
        str_add_path(&url, path);
    }
    str_add(&url, query);
    storage_request(s, STORAGE_FILE, method, str_c(&url), req);
}

static int64_t to_size(const char *text)
{
    char *end = NULL;
    long long size = text && text[0] >= '0' && text[0] <= '9' ? strtoll(text, &end, 10) : 0;
    return end && *end == '\0' ? size : 0;
}

static void read_info(const struct http_response *res, struct file_info *info)
{
    const struct http_headers *h = &res->headers;
    const char *range = http_get(h, "content-range"); /* "bytes 0-9/100", or of 416 "bytes *" and "/100" */
    const char *total = range ? strrchr(range, '/') : NULL;
    *info = (struct file_info){.size = to_size(total ? total + 1 : http_get(h, "content-length"))};
    str_copy(info->etag, sizeof info->etag, http_get(h, "etag"));
    (void)date_parse_http(http_get(h, "last-modified"), &info->modified_s);
    (void)date_parse_http(http_get(h, "date"), &info->answered_s);
}

enum err_code files_head(const struct storage *s, const char *share, const char *path, struct file_info *info, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    start(s, "HEAD", share, path, "", &req);
    enum err_code code = storage_send(s, &req, &res, err);
    if (!code)
        read_info(&res, info);
    return code;
}

enum err_code files_read(const struct storage *s, const char *share, const char *path, int64_t from, int64_t len, struct str *body,
                         struct file_info *info, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_STR range = STR_MAX(64);
    if (from < 0 || len <= 0)
        return err_set(err, ERR_INPUT, "a file is read from a place that is not there");
    start(s, "GET", share, path, "", &req);
    str_addf(&range, "bytes=%" PRId64 "-%" PRId64, from, from + (len - 1));
    http_set(&req.headers, "x-ms-range", str_c(&range));
    req.answer_max = body->max;
    enum err_code code = storage_send(s, &req, &res, err);
    bool at_end = code == ERR_REFUSED && res.status == 416; /* nothing there (yet) is not a failure of who follows a log */
    if (code && !at_end)
        return code;
    if (info)
        read_info(&res, info);
    if (at_end) {
        str_clear(body);
        return OK;
    }
    str_done(body);
    *body = res.body;
    res.body = STR_MAX(0);
    return OK;
}

enum err_code files_write(const struct storage *s, const char *share, const char *path, const char *text, size_t len, struct err *err)
{
    AUTO_REQUEST make = {0};
    AUTO_REQUEST fill = {0};
    AUTO_STR number = STR_MAX(64);
    if (len > WRITE_MAX)
        return err_set(err, ERR_INPUT, "a file of %zu bytes is too large to be written", len);
    start(s, "PUT", share, path, "", &make);
    str_addf(&number, "%zu", len);
    http_set(&make.headers, "x-ms-type", "file");
    http_set(&make.headers, "x-ms-content-length", str_c(&number));
    enum err_code code = storage_send(s, &make, NULL, err);
    if (code || len == 0)
        return code;
    start(s, "PUT", share, path, "?comp=range", &fill);
    str_clear(&number);
    str_addf(&number, "bytes=0-%zu", len - 1);
    http_set(&fill.headers, "x-ms-range", str_c(&number));
    http_set(&fill.headers, "x-ms-write", "update");
    http_set(&fill.headers, "Content-Type", "application/octet-stream");
    fill.body = text;
    fill.body_len = len;
    return storage_send(s, &fill, NULL, err);
}

/* PUT of a thing that may be there already. */
static enum err_code create(const struct storage *s, const char *share, const char *path, const char *query, const char *exists,
                            struct err *err)
{
    AUTO_REQUEST req = {0};
    struct err local;
    if (!err)
        err = &local;
    start(s, "PUT", share, path, query, &req);
    enum err_code code = storage_send(s, &req, NULL, err);
    return code == ERR_CONFLICT && str_is(err->remote, exists) ? OK : code;
}

enum err_code files_make_directory(const struct storage *s, const char *share, const char *path, struct err *err)
{
    return create(s, share, path, "?restype=directory", "ResourceAlreadyExists", err);
}

enum err_code files_create_share(const struct storage *s, const char *share, struct err *err)
{
    return create(s, share, "", "?restype=share", "ShareAlreadyExists", err);
}

enum err_code files_find_share(const struct storage *s, const char *share, struct err *err)
{
    AUTO_REQUEST req = {0};
    start(s, "GET", share, "", "?restype=share", &req);
    return storage_send(s, &req, NULL, err);
}

/* ---- list ---- */

#define ENTRY "EnumerationResults/Entries/File"

struct page {
    files_visit visit;
    void *ctx;
    const char *prefix;
    char name[1024];
    char marker[4096];
    int64_t modified_s;
    bool stopped;
};

static _Bool on_element(void *ctx, const char *path, const char *text)
{
    struct page *p = ctx;
    if (str_is(path, "EnumerationResults/NextMarker")) {
        str_copy(p->marker, sizeof p->marker, text);
    } else if (str_is(path, ENTRY "/Name")) {
        str_copy(p->name, sizeof p->name, text);
    } else if (str_is(path, ENTRY "/Properties/Last-Modified")) {
        (void)date_parse_http(text, &p->modified_s);
    } else if (str_is(path, ENTRY)) {
        /* The service ignores case in prefixes; the contract does not. */
        p->stopped = str_starts(p->name, p->prefix) && !p->visit(p->ctx, p->name, p->modified_s);
        p->name[0] = '\0';
        p->modified_s = 0;
        return !p->stopped;
    }
    return true;
}

static enum err_code read_page(const struct storage *s, const char *share, const char *directory, struct page *p, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_STR query = STR_MAX(8000);
    str_add(&query, "?restype=directory&comp=list&include=Timestamps");
    if (p->prefix[0]) {
        str_add(&query, "&prefix=");
        str_add_percent(&query, p->prefix);
    }
    if (p->marker[0]) {
        str_add(&query, "&marker=");
        str_add_percent(&query, p->marker);
    }
    if (query.failed)
        return err_set(err, ERR_INPUT, "the name to list is too long");
    start(s, "GET", share, directory, str_c(&query), &req);
    http_set(&req.headers, "x-ms-file-extended-info", "true"); /* required with include */
    req.answer_max = PAGE_BYTES;
    enum err_code code = storage_send(s, &req, &res, err);
    if (code)
        return code;
    p->marker[0] = '\0';
    if (xml_read(res.body.p, res.body.len, on_element, p, err))
        return err_set(err, ERR_UNREACHABLE, "the list of files cannot be read");
    return OK;
}

enum err_code files_list(const struct storage *s, const char *share, const char *directory, const char *prefix, files_visit visit,
                         void *ctx, struct err *err)
{
    struct page p = {.visit = visit, .ctx = ctx, .prefix = prefix ? prefix : ""};
    for (int pages = 0; pages < PAGES_MAX; pages++) {
        enum err_code code = read_page(s, share, directory, &p, err);
        if (code || p.stopped || !p.marker[0])
            return code;
    }
    return err_set(err, ERR_UNREACHABLE, "the list of files does not end");
}
