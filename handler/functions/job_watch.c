/* job-watch: once a minute every live job that is due is looked at, the longest unseen first, several side by side, within the budget of
 * one invocation. */
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/sweep.h"
#include "functions/functions.h"

#define SIDE_BY_SIDE 8
#define EARLY_S 30    /* half a minute early is due: the timer would come half a minute late instead */
#define ORPHAN_S 3600 /* a marker may be without its record for a moment, not for an hour */

struct due_job {
    char job_id[JOB_ID_MAX];
    int64_t next_look_s;
};
struct round {
    const struct app *app;
    const struct invocation *inv;
    struct due_job *job;
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

/* Keeps the jobs that are due; a marker that never got its record is removed. */
static void choose(struct round *r, const struct live_job *live, size_t count, bool all)
{
    const struct storage *s = &r->app->controller->storage;
    int64_t now_s = controller_now_s(r->app->controller);

    for (size_t i = 0; i < count; i++) {
        struct err err = {0};
        AUTO_RECORD rec = {0};
        enum err_code code = ledger_load(s, live[i].job_id, &rec, &err);
        if (code == ERR_ABSENT && now_s - live[i].since_s >= ORPHAN_S)
            code = ledger_drop_orphan(s, &live[i], &err);
        else if (code == OK && (all || rec.next_look_s <= now_s + EARLY_S || rec.next_look_s > now_s + 2 * LOOK_AGAIN_S)) {
            struct due_job *job = &r->job[r->count++];
            str_copy(job->job_id, sizeof job->job_id, live[i].job_id);
            job->next_look_s = rec.next_look_s;
        }
        if (code != OK && code != ERR_ABSENT && code != ERR_CONFLICT)
            log_line(LOG_ERROR, "%s", err.msg);
    }
    qsort(r->job, r->count, sizeof *r->job, by_next_look);
}

static void drive_all(struct round *r)
{
    pthread_t helper[SIDE_BY_SIDE - 1];
    size_t helpers = 0;

    while (helpers < SIDE_BY_SIDE - 1 && helpers + 1 < r->count && pthread_create(&helper[helpers], NULL, drive_some, r) == 0)
        helpers++;
    drive_some(r);
    for (size_t i = 0; i < helpers; i++)
        pthread_join(helper[i], NULL);
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
    choose(&r, live, count, inv->text.len > 0); /* the word `done`: all, due or not */
    drive_all(&r);
    log_scope(NULL, "");
    sweep(app->controller, &leftovers); /* last: live jobs come first */
    str_addf(said, "%zu live, %d looked at, %d could not be", count, r.driven - r.failed, r.failed);
    if (leftovers > 0)
        str_addf(said, ", %d leftovers are being deleted", leftovers);
    return OK;
}
