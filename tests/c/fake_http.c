#include "fake_http.h"

#include "test.h"

static int64_t fake_now(void *ctx)
{
    return ((struct fake_clock *)ctx)->now_s;
}

static int64_t fake_mono(void *ctx)
{
    return ((struct fake_clock *)ctx)->mono_ms;
}

static void pass(struct fake_clock *c, int64_t ms)
{
    int64_t before = c->mono_ms / 1000;
    c->mono_ms += ms;
    c->now_s += c->mono_ms / 1000 - before;
}

static void fake_sleep(void *ctx, int64_t ms)
{
    struct fake_clock *c = ctx;
    assert_true(c->sleeps < COUNT(c->slept));
    c->slept[c->sleeps++] = ms;
    pass(c, ms);
}

static uint32_t fake_random(void *ctx)
{
    return ((struct fake_clock *)ctx)->random;
}

void fake_clock_init(struct fake_clock *c)
{
    *c = (struct fake_clock){.now_s = 1767225600, .mono_ms = 1000000};
    c->clock = (struct clock){.now_s = fake_now, .mono_ms = fake_mono, .sleep_ms = fake_sleep, .random = fake_random, .ctx = c};
}

static void check_header(const struct http_request *req, size_t step, const char *rule)
{
    char name[64];
    if (rule[0] == '!') {
        if (http_get(&req->headers, rule + 1))
            fail_msg("step %zu: header %s must not be sent", step, rule + 1);
        return;
    }
    size_t len = strcspn(rule, ":");
    str_copy(name, len + 1 < sizeof name ? len + 1 : sizeof name, rule);
    const char *value = http_get(&req->headers, name);
    if (!value)
        fail_msg("step %zu: header %s is not sent", step, name);
    if (rule[len] == ':' && !str_is(value, rule + len + 2))
        fail_msg("step %zu: header %s is \"%s\", not \"%s\"", step, name, value, rule + len + 2);
}

static void check_request(const struct http_request *req, size_t step, const struct fake_step *s)
{
    const char *url = str_c(&req->url);
    size_t len = strlen(s->url);
    bool open = len && s->url[len - 1] == '*';
    assert_non_null(url);
    if (!str_is(req->method, s->method) || (open ? strncmp(url, s->url, len - 1) != 0 : !str_is(url, s->url)))
        fail_msg("step %zu: %s %s came, not %s %s", step, req->method, url, s->method, s->url);
    for (size_t i = 0; i < COUNT(s->expect) && s->expect[i]; i++)
        check_header(req, step, s->expect[i]);
    if (s->body && (req->body_len != strlen(s->body) || (req->body_len && memcmp(req->body, s->body, req->body_len) != 0)))
        fail_msg("step %zu: the body is \"%.*s\", not \"%s\"", step, (int)req->body_len, (const char *)req->body, s->body);
}

static enum err_code fake_send(void *ctx, const struct http_request *req, int64_t limit_ms, struct http_response *res, struct err *err)
{
    struct fake_http *f = ctx;
    if (f->next == f->count)
        fail_msg("one request too many: %s %s", req->method, str_c(&req->url));
    size_t step = f->next++;
    const struct fake_step *s = &f->steps[step];
    check_request(req, step, s);
    f->limits[step % COUNT(f->limits)] = limit_ms;
    pass(f->clock, s->takes_ms);
    bool good = s->status == 0 || (s->status >= 200 && s->status < 300);
    if (req->sink && good && s->answer && !req->sink(req->sink_ctx, s->answer, strlen(s->answer)))
        return err_set(err, ERR_INTERNAL, "the answer could not be taken in");
    if (!s->status)
        return err_set(err, s->fail ? s->fail : ERR_UNREACHABLE, "Could not connect to server");
    res->status = s->status;
    for (size_t i = 0; i < COUNT(s->reply) && s->reply[i]; i++) {
        char name[64];
        size_t len = strcspn(s->reply[i], ":");
        str_copy(name, len + 1, s->reply[i]);
        http_set(&res->headers, name, s->reply[i] + len + 2);
    }
    if (s->answer && !(req->sink && good) && !str_is(req->method, "HEAD"))
        str_add(&res->body, s->answer);
    if (res->body.failed)
        return err_set(err, ERR_TOO_LARGE, "answer too large (more than %zu bytes)", req->answer_max);
    return OK;
}

void fake_http_init(struct fake_http *f, struct fake_clock *c, const struct fake_step *steps, size_t count)
{
    *f = (struct fake_http){.steps = steps, .count = count, .clock = c};
    f->http = (struct http){.transport = {.send = fake_send, .ctx = f}, .clock = &c->clock};
}

void fake_http_used_up(const struct fake_http *f)
{
    if (f->next != f->count)
        fail_msg("only %zu of %zu requests came", f->next, f->count);
}
