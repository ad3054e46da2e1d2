#include "azure/link.h"

#include <inttypes.h>
#include <stdlib.h>

#include "azure/storage.h"

#define ATTEMPTS 2

static enum err_code ask(const struct http *http, struct http_request *req, const struct secret *link, struct http_response *res,
                         struct err *err)
{
    str_add(&req->url, secret_reveal(link));
    req->secret_path = true;
    req->max_attempts = ATTEMPTS;
    http_set(&req->headers, "x-ms-version", STORAGE_VERSION);
    enum err_code code = http_send(http, req, res, err);
    if (code != OK || (res->status >= 200 && res->status <= 299))
        return code;
    AUTO_STR what = STR_MAX(300);
    http_describe(req, &what);
    code = err_set(err, res->status == 404 ? ERR_ABSENT : ERR_REFUSED, "%.300s: HTTP %d", str_c(&what) != NULL ? str_c(&what) : req->method,
                   res->status);
    if (err != NULL)
        err->http_status = res->status;
    return code;
}

static int64_t length_of(const struct http_response *res)
{
    const char *length = http_get(&res->headers, "content-length");

    return length != NULL ? strtoll(length, NULL, 10) : -1;
}

enum err_code link_tail(const struct http *http, const struct secret *link, int64_t call_ms, struct str *to, bool *cut, struct err *err)
{
    AUTO_REQUEST head = {0};
    AUTO_REQUEST get = {0};
    AUTO_RESPONSE size = {0};
    AUTO_RESPONSE res = {0};
    AUTO_STR range = STR_MAX(64);
    int64_t until_ms = clock_mono_ms(http->clock) + call_ms;

    http_request_init(&head, "HEAD", until_ms);
    enum err_code code = ask(http, &head, link, &size, err);
    if (code != OK)
        return code;
    int64_t length = length_of(&size), most = (int64_t)to->max;
    *cut = length > most;
    http_request_init(&get, "GET", until_ms);
    if (*cut) { /* what is written meanwhile is left out */
        str_addf(&range, "bytes=%" PRId64 "-%" PRId64, length - most, length - 1);
        http_set(&get.headers, "x-ms-range", str_c(&range));
    }
    get.answer_max = to->max;
    code = ask(http, &get, link, &res, err);
    if (code != OK)
        return code;
    str_done(to);
    *to = res.body;
    res.body = STR_MAX(0);
    return OK;
}
