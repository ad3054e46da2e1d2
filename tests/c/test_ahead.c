/* Asking ahead: what is kept, for whom and how long; and that code behind it notices nothing but the speed. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "http/ahead.h"

#define HOST "https://h/"

/* Answers every request with its number; safe from many threads. */
struct other_side {
    atomic_int asked;
    int status;
    int meeting; /* so many requests must be under way at once before one is answered */
    bool silent;
    pthread_mutex_t lock;
    pthread_cond_t all_here;
    int here;
    _Atomic int64_t now_ms, limit_ms;
    char job[72]; /* log scope of the last one */
    struct clock clock;
    struct http http;
};

static void meet(struct other_side *o)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 30;
    pthread_mutex_lock(&o->lock);
    o->here++;
    pthread_cond_broadcast(&o->all_here);
    while (o->here < o->meeting && pthread_cond_timedwait(&o->all_here, &o->lock, &end) == 0)
        ;
    pthread_mutex_unlock(&o->lock);
}

static enum err_code answer(void *ctx, const struct http_request *req, int64_t limit_ms, struct http_response *res, struct err *err)
{
    struct other_side *o = ctx;
    char invocation[64];
    (void)req;
    int number = atomic_fetch_add(&o->asked, 1) + 1;
    o->limit_ms = limit_ms;
    pthread_mutex_lock(&o->lock);
    log_scope_now(invocation, o->job);
    pthread_mutex_unlock(&o->lock);
    if (o->meeting > 0)
        meet(o);
    if (o->silent)
        return err_set(err, ERR_UNREACHABLE, "no answer");
    res->status = o->status;
    str_addf(&res->body, "answer %d", number);
    http_set(&res->headers, "ETag", "\"e\"");
    return OK;
}

static int64_t mono_ms(void *ctx)
{
    return ((struct other_side *)ctx)->now_ms;
}

static int64_t now_s(void *ctx)
{
    return mono_ms(ctx) / 1000;
}

static void sleep_ms(void *ctx, int64_t ms)
{
    ((struct other_side *)ctx)->now_ms += ms;
}

static uint32_t no_chance(void *ctx)
{
    (void)ctx;
    return 0;
}

static void begin(struct other_side *o)
{
    memset(o, 0, sizeof *o);
    o->status = 200;
    o->now_ms = 1000000;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->all_here, NULL);
    o->clock = (struct clock){.now_s = now_s, .mono_ms = mono_ms, .sleep_ms = sleep_ms, .random = no_chance, .ctx = o};
    o->http = (struct http){.transport = {.send = answer, .ctx = o}, .clock = &o->clock};
}

struct question {
    struct other_side *o;
    const char *method, *path, *range, *condition, *body;
    bool secret;
    enum err_code code; /* what came */
    char said[64], etag[16];
    int attempts;
};

static void ask(void *ctx)
{
    struct question *q = ctx;
    struct err err = {0};
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    http_request_init(&req, q->method ? q->method : "GET", mono_ms(q->o) + 30000);
    str_addf(&req.url, HOST "%s", q->path ? q->path : "a");
    if (q->range)
        http_set(&req.headers, "x-ms-range", q->range);
    if (q->condition)
        http_set(&req.headers, "If-Match", q->condition);
    http_set(&req.headers, "x-ms-date", q->said); /* something that differs each time */
    req.secret_answer = q->secret;
    req.body = q->body;
    req.body_len = q->body ? strlen(q->body) : 0;
    q->code = http_send(&q->o->http, &req, &res, &err);
    str_copy(q->said, sizeof q->said, str_c(&res.body));
    str_copy(q->etag, sizeof q->etag, http_get(&res.headers, "etag"));
    q->attempts = res.attempts;
}

static void now(struct question q, const char *want)
{
    ask(&q);
    assert_int_equal(q.code, OK);
    assert_string_equal(q.said, want);
    assert_string_equal(q.etag, "\"e\"");
    assert_int_equal(q.attempts, 1);
}

static void an_answer_is_taken_once(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question q = {.o = &o};
    ahead_ask(&box, ask, &q);
    ahead_wait(&box);
    now((struct question){.o = &o}, "answer 1");
    assert_int_equal(o.asked, 1);
    now((struct question){.o = &o}, "answer 2");
    assert_int_equal(o.asked, 2);
}

static void twice(void *ctx)
{
    ask(ctx);
    ask(ctx);
}

static void answers_come_in_the_order_in_which_they_were_given(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question q = {.o = &o};
    ahead_ask(&box, twice, &q);
    ahead_wait(&box);
    now((struct question){.o = &o}, "answer 1");
    now((struct question){.o = &o}, "answer 2");
    assert_int_equal(o.asked, 2);
}

static void only_the_same_request_gets_it(void **state)
{
    (void)state;
    static const struct question others[] = {
        {.method = "HEAD"}, {.path = "b"},        {.range = "bytes=0-1"},         {.condition = "\"x\""},
        {.method = "PUT"},  {.method = "DELETE"}, {.method = "PUT", .body = "x"},
    };
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question get = {.o = &o}, put = {.o = &o, .method = "PUT", .body = "y", .condition = "\"1\""};
    ahead_ask(&box, ask, &get);
    ahead_wait(&box);
    ahead_ask(&box, ask, &put);
    ahead_wait(&box);
    for (size_t i = 0; i < COUNT(others); i++) {
        struct question q = others[i];
        char want[32];
        q.o = &o;
        snprintf(want, sizeof want, "answer %d", o.asked + 1);
        now(q, want);
    }
    now((struct question){.o = &o, .method = "PUT", .body = "y", .condition = "\"1\""}, "answer 2");
    now((struct question){.o = &o}, "answer 1");
}

static void what_must_not_be_done_twice_is_not_kept(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question post = {.o = &o, .method = "POST"}, gone = {.o = &o, .method = "DELETE"};
    ahead_ask(&box, ask, &post);
    ahead_ask(&box, ask, &gone);
    ahead_wait(&box);
    now((struct question){.o = &o, .method = "POST"}, "answer 3");
    now((struct question){.o = &o, .method = "DELETE"}, "answer 4");
}

static void a_token_is_not_kept(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question token = {.o = &o, .secret = true};
    ahead_ask(&box, ask, &token);
    ahead_wait(&box);
    now((struct question){.o = &o, .secret = true}, "answer 2");
}

static void an_old_answer_is_asked_anew(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question q = {.o = &o};
    ahead_ask(&box, twice, &q);
    ahead_wait(&box);
    o.now_ms += 5000;
    now((struct question){.o = &o}, "answer 1");
    o.now_ms += 1;
    now((struct question){.o = &o}, "answer 3");
}

static void what_was_forgotten_is_asked_anew(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    struct ahead box;
    struct question q = {.o = &o};
    for (int round = 0; round < 2; round++) {
        ahead_begin(&box, &o.clock);
        ahead_ask(&box, ask, &q);
        ahead_wait(&box);
        if (round == 0)
            ahead_forget();
        else
            ahead_end(&box);
        now((struct question){.o = &o}, round == 0 ? "answer 2" : "answer 4");
        ahead_end(&box);
    }
    ahead_forget(); /* no box: nothing happens */
}

/* Each waits for the other: one after the other they would wait for ever. */
static void calls_run_side_by_side(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    o.meeting = 3;
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question q[3] = {{.o = &o, .path = "1"}, {.o = &o, .path = "2"}, {.o = &o, .path = "3"}};
    for (size_t i = 0; i < COUNT(q); i++)
        ahead_ask(&box, ask, &q[i]);
    ahead_wait(&box);
    assert_int_equal(o.here, 3);
    for (size_t i = 0; i < COUNT(q); i++)
        assert_int_equal(q[i].code, OK);
}

static void a_later_round_sees_the_earlier_and_leaves_it(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question first = {.o = &o}, second = {.o = &o};
    ahead_ask(&box, ask, &first);
    ahead_wait(&box);
    ahead_ask(&box, twice, &second);
    ahead_wait(&box);
    assert_string_equal(second.said, "answer 2"); /* the first time it saw "answer 1"; who asks again wants to know anew */
    assert_int_equal(o.asked, 2);
    now((struct question){.o = &o}, "answer 1");
    now((struct question){.o = &o}, "answer 2");
    now((struct question){.o = &o}, "answer 3");
}

static void what_got_no_answer_is_tried_once_and_asked_again(void **state)
{
    (void)state;
    static const int statuses[] = {0, 429, 500, 503};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct other_side o;
        begin(&o);
        o.silent = statuses[i] == 0;
        o.status = statuses[i];
        AUTO_AHEAD box = {0};
        ahead_begin(&box, &o.clock);
        struct question q = {.o = &o};
        ahead_ask(&box, ask, &q);
        ahead_wait(&box);
        assert_int_equal(q.code, ERR_UNREACHABLE);
        assert_int_equal(o.asked, 1);
        o.silent = false;
        o.status = 200;
        now((struct question){.o = &o}, "answer 2");
    }
}

static void a_refusal_is_an_answer(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    o.status = 412;
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question q = {.o = &o};
    ahead_ask(&box, ask, &q);
    ahead_wait(&box);
    now((struct question){.o = &o}, "answer 1");
}

static void deadline_and_log_scope_are_the_owners(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    log_scope("i1", "j1");
    AUTO_AHEAD box = {0};
    ahead_begin(&box, &o.clock);
    struct question q = {.o = &o};
    ahead_ask(&box, ask, &q);
    ahead_wait(&box);
    assert_int_equal(o.limit_ms, 10000);
    assert_string_equal(o.job, "j1");
    http_scope(o.now_ms + 3000);
    ahead_ask(&box, ask, &q);
    ahead_wait(&box);
    assert_int_equal(o.asked, 1); /* it saw the answer of the round before */
    q.path = "b";
    ahead_ask(&box, ask, &q);
    ahead_wait(&box);
    assert_int_equal(o.limit_ms, 3000);
    http_scope(0);
    log_scope("", "");
}

static void what_finds_no_room_is_asked_when_it_is_needed(void **state)
{
    (void)state;
    struct other_side o;
    begin(&o);
    AUTO_AHEAD box = {0};
    struct question q[AHEAD_CALLS + 4];
    for (size_t i = 0; i < COUNT(q); i++)
        q[i] = (struct question){.o = &o};
    ahead_ask(&box, ask, &q[0]); /* not open */
    ahead_begin(&box, &o.clock);
    for (size_t i = 0; i < COUNT(q); i++)
        ahead_ask(&box, ask, &q[i]);
    ahead_wait(&box);
    assert_int_equal(o.asked, AHEAD_CALLS);
    now((struct question){.o = &o, .path = "b"}, "answer 17");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_once),
        cmocka_unit_test(answers_come_in_the_order_in_which_they_were_given),
        cmocka_unit_test(only_the_same_request_gets_it),
        cmocka_unit_test(what_must_not_be_done_twice_is_not_kept),
        cmocka_unit_test(a_token_is_not_kept),
        cmocka_unit_test(an_old_answer_is_asked_anew),
        cmocka_unit_test(what_was_forgotten_is_asked_anew),
        cmocka_unit_test(calls_run_side_by_side),
        cmocka_unit_test(a_later_round_sees_the_earlier_and_leaves_it),
        cmocka_unit_test(what_got_no_answer_is_tried_once_and_asked_again),
        cmocka_unit_test(a_refusal_is_an_answer),
        cmocka_unit_test(deadline_and_log_scope_are_the_owners),
        cmocka_unit_test(what_finds_no_room_is_asked_when_it_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
