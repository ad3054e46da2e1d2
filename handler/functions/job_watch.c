/* job-watch: once a minute every live job that is due is looked at, the longest unseen first, several side by side, within the budget of
 * one invocation. */
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/sweep.h"
#include "functions/functions.h"

#define SIDE_BY_SIDE 8
#define CHOOSE_PART 2 /* choosing takes at most half of the budget */
#define EARLY_S 30    /* half a minute early is due: the timer would come half a minute late instead */
#define ORPHAN_S 3600 /* a marker may be without its record for a moment, not for an hour */

struct due_job {
    char job_id[JOB_ID_MAX];
    int64_t next_look_s;
};
struct round {
    const struct app *app;
    const struct invocation *inv;
    const struct live_job *live; /* taken from the first-th on, in a circle */
    size_t lives, first, taken;
    bool all; /* due or not */
    int64_t choose_until_ms;
    struct due_job *job; /* room for all lives */
    size_t count, next;
    int driven, failed;
    pthread_mutex_t lock;
};

static int by_next_look(const void *a, const void *b)
{
    const struct due_job *x = a, *y = b;

    return (x->next_look_s > y->next_look_s) - (x->next_look_s < y->next_look_s);
}

static bool take_next(struct round *r, struct due_job *job)
{
    pthread_mutex_lock(&r->lock);
    bool any = r->next < r->count && clock_mono_ms(r->app->controller->clock) < r->inv->deadline_ms;
    if (any)
        *job = r->job[r->next++];
    pthread_mutex_unlock(&r->lock);
    return any;
}

static void *drive_some(void *ctx)
{
    struct round *r = ctx;
    struct due_job job;

    while (take_next(r, &job)) {
        struct err err = {0};
        enum err_code code = app_drive(r->app, r->inv, job.job_id, &err);
        if (code != OK)
            log_line(LOG_ERROR, "%s", err.msg);
        pthread_mutex_lock(&r->lock);
        r->driven++;
        r->failed += code != OK;
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

static const struct live_job *take_live(struct round *r)
{
    const struct live_job *live = NULL;

    pthread_mutex_lock(&r->lock);
    if (r->taken < r->lives && clock_mono_ms(r->app->controller->clock) < r->choose_until_ms)
        live = &r->live[(r->first + r->taken++) % r->lives];
    pthread_mutex_unlock(&r->lock);
    return live;
}

static void keep(struct round *r, const char *job_id, int64_t next_look_s)
{
    pthread_mutex_lock(&r->lock);
    struct due_job *job = &r->job[r->count++];
    str_copy(job->job_id, sizeof job->job_id, job_id);
    job->next_look_s = next_look_s;
    pthread_mutex_unlock(&r->lock);
}

/* Keeps the jobs that are due; a marker that never got its record is removed. */
static void *choose_some(void *ctx)
{
    struct round *r = ctx;
    const struct storage *s = &r->app->controller->storage;
    const struct live_job *live;

    http_scope(r->inv->deadline_ms);
    while ((live = take_live(r)) != NULL) {
        struct err err = {0};
        AUTO_RECORD rec = {0};
        int64_t now_s = controller_now_s(r->app->controller);
        log_scope(r->inv->id, live->job_id);
        enum err_code code = ledger_load(s, live->job_id, &rec, &err);
        if (code == ERR_ABSENT && now_s - live->since_s >= ORPHAN_S)
            code = ledger_drop_orphan(s, live, &err);
        else if (code == OK && (r->all || rec.next_look_s <= now_s + EARLY_S || rec.next_look_s > now_s + 2 * LOOK_AGAIN_S))
            keep(r, live->job_id, rec.next_look_s);
        if (code != OK && code != ERR_ABSENT && code != ERR_CONFLICT)
            log_line(LOG_ERROR, "%s", err.msg);
    }
    return NULL;
}

/* Runs `work` in this thread and in as many more as `count` jobs are worth. */
static void side_by_side(struct round *r, void *(*work)(void *), size_t count)
{
    pthread_t helper[SIDE_BY_SIDE - 1];
    size_t helpers = 0;

    while (helpers < SIDE_BY_SIDE - 1 && helpers + 1 < count && pthread_create(&helper[helpers], NULL, work, r) == 0)
        helpers++;
    work(r);
    for (size_t i = 0; i < helpers; i++)
        pthread_join(helper[i], NULL);
}

/* Who is due stands in the records. The circle begins at a random place: when time is short, nobody is left out each time. */
static void choose(struct round *r)
{
    const struct clock *clock = r->app->controller->clock;
    int64_t now_ms = clock_mono_ms(clock);

    if (r->lives == 0)
        return;
    r->first = clock->random(clock->ctx) % r->lives;
    r->choose_until_ms = now_ms + (r->inv->deadline_ms - now_ms) / CHOOSE_PART;
    side_by_side(r, choose_some, r->lives);
    qsort(r->job, r->count, sizeof *r->job, by_next_look);
}

static void free_live(struct live_job **live)
{
    free(*live);
}

static void free_due(struct due_job **job)
{
    free(*job);
}

enum err_code job_watch(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    const struct app *app = ctx;
    struct round r = {.app = app, .inv = inv, .lock = PTHREAD_MUTEX_INITIALIZER};
    __attribute__((cleanup(free_live))) struct live_job *live = NULL;
    size_t count = 0;
    int leftovers = 0;

    http_scope(inv->deadline_ms);
    enum err_code code = controller_storage(app->controller, err);
    if (code == OK)
        code = ledger_live(&app->controller->storage, &live, &count, err);
    if (code != OK)
        return code;
    __attribute__((cleanup(free_due))) struct due_job *job = calloc(count + 1, sizeof *job);
    if (job == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu jobs", count);
    r.job = job;
    r.live = live;
    r.lives = count;
    r.all = inv->text.len > 0; /* the word `done` */
    choose(&r);
    side_by_side(&r, drive_some, r.count);
    log_scope(NULL, "");
    sweep(app->controller, &leftovers); /* last: live jobs come first */
    str_addf(said, "%zu live, %d looked at, %d could not be", count, r.driven - r.failed, r.failed);
    if (leftovers > 0)
        str_addf(said, ", %d leftovers are being deleted", leftovers);
    if (r.taken < count || r.next < r.count)
        str_addf(said, ", no time for %zu", count - r.taken + r.count - r.next);
    return OK;
}
