#include "azure/storage.h"

#include <string.h>

#include "azure/sign.h"
#include "base/xml.h"

void storage_done(struct storage *s)
{
    secret_done(&s->key);
    s->account[0] = s->blob[0] = s->queue[0] = s->file[0] = '\0';
}

static void move_endpoint(char endpoint[256], const char *host)
{
    static const char SCHEME[] = "http://";
    AUTO_STR moved = STR_MAX(255);

    if (!str_starts(endpoint, SCHEME))
        return;
    const char *at = endpoint + strlen(SCHEME);
    str_addf(&moved, "%s%s%s", SCHEME, host, at + strcspn(at, ":/"));
    str_copy(endpoint, 256, moved.failed ? "" : str_c(&moved)); /* without one, signing fails and says so */
}

struct storage storage_at(const struct storage *s, const char *host)
{
    struct storage there = *s;

    if (*host != '\0') {
        move_endpoint(there.blob, host);
        move_endpoint(there.queue, host);
        move_endpoint(there.file, host);
    }
    return there;
}

void storage_request(const struct storage *s, enum storage_service service, const char *method, const char *path_and_query,
                     struct http_request *req)
{
    const char *endpoint = service == STORAGE_BLOB ? s->blob : service == STORAGE_QUEUE ? s->queue : s->file;
    http_request_init(req, method, clock_mono_ms(s->http->clock) + s->call_ms);
    /* Without an endpoint the address is empty, and http_send refuses it; storage_send says why. */
    if (endpoint[0])
        str_add(&req->url, endpoint);
    str_add(&req->url, path_and_query);
    http_set(&req->headers, "x-ms-version", STORAGE_VERSION);
    http_set(&req->headers, "Accept-Encoding", "identity"); /* bytes as they are stored: hashes are made of them */
    req->auth = (struct http_authorizer){.authorize = sign_authorize, .ctx = (void *)(uintptr_t)s};
}

/* The same id on every attempt of one operation: the service's logs can be searched for it. */
static void set_operation_id(const struct storage *s, struct http_request *req)
{
    const struct clock *c = s->http->clock;
    if (http_get(&req->headers, "x-ms-client-request-id"))
        return;
    AUTO_STR id = STR_MAX(40);
    uint32_t r[4];
    for (int i = 0; i < 4; i++)
        r[i] = c->random(c->ctx);
    str_addf(&id, "%08x-%04x-4%03x-%04x-%04x%08x", r[0], r[1] >> 16, r[1] & 0xFFF, 0x8000 | (r[2] & 0x3FFF), r[2] >> 16, r[3]);
    http_set(&req->headers, "x-ms-client-request-id", str_c(&id));
}

struct reason {
    char code[sizeof((struct err *)0)->remote];
    char text[256];
};

static _Bool on_error_element(void *ctx, const char *path, const char *text)
{
    struct reason *r = ctx;
    if (str_is(path, "Error/Code"))
        str_copy(r->code, sizeof r->code, text);
    else if (str_is(path, "Error/Message"))
        str_copy(r->text, sizeof r->text, text);
    return true;
}

/* Code and first line of the message. Bodies may be empty, or not XML at all: the header comes first. */
static void read_reason(const struct http_response *res, struct reason *r)
{
    if (res->body.len && !res->body.failed)
        (void)!xml_read(res->body.p, res->body.len, on_error_element, r, NULL);
    r->text[strcspn(r->text, "\r\n")] = '\0'; /* what follows is RequestId and Time; for 403 the detail holds the string to sign */
    const char *code = http_get(&res->headers, "x-ms-error-code");
    if (code && code[0])
        str_copy(r->code, sizeof r->code, code);
}

static enum err_code code_of(int status)
{
    switch (status) {
    case 404:
        return ERR_ABSENT;
    case 409:
    case 412:
        return ERR_CONFLICT;
    default:
        return ERR_REFUSED;
    }
}

/* A signature is refused for a wrong clock too, and the answer's own Date tells. */
static void add_clock_hint(const struct storage *s, const struct http_response *res, struct str *to)
{
    int64_t theirs = 0, ours = clock_now_s(s->http->clock);
    if (res->status != 403 || !date_parse_http(http_get(&res->headers, "date"), &theirs))
        return;
    int64_t off = ours > theirs ? ours - theirs : theirs - ours;
    if (off > 300)
        str_addf(to, "; this machine's clock is %lld minutes off", (long long)(off / 60));
}

static enum err_code explain(const struct storage *s, const struct http_request *req, const struct http_response *res, enum err_code code,
                             struct err *err)
{
    struct reason r = {0};
    AUTO_STR what = STR_MAX(sizeof err->msg);
    read_reason(res, &r);
    if (code == OK) {
        code = code_of(res->status);
        http_describe(req, &what);
        str_addf(&what, ": HTTP %d %s", res->status, r.code[0] ? r.code : "without a reason");
        if (r.text[0])
            str_addf(&what, ": %.160s", r.text);
        add_clock_hint(s, res, &what);
        (void)err_set(err, code, "%s", str_c(&what) ? str_c(&what) : "storage refused");
    }
    if (err && res->status) {
        err->http_status = res->status;
        str_copy(err->remote, sizeof err->remote, r.code);
    }
    return code;
}

enum err_code storage_send(const struct storage *s, struct http_request *req, struct http_response *res, struct err *err)
{
    AUTO_RESPONSE own = {0};
    if (!res)
        res = &own;
    if (str_starts(str_c(&req->url), "/"))
        return err_set(err, ERR_INPUT, "the storage connection string has no endpoint for this service");
    set_operation_id(s, req);
    enum err_code code = http_send(s->http, req, res, err);
    if (code == OK && res->status >= 200 && res->status < 300)
        return OK;
    if (code != OK && code != ERR_UNREACHABLE)
        return code;
    return explain(s, req, res, code, err);
}
