/* The four functions of drive(), call by call as in controller/world, machine, traces and tell. */
#include "sim.h"

static struct attempt *attempt_of(struct sim *s, int job, const struct record *rec)
{
    return &s->job[job].attempt[rec->state.attempt < ATTEMPTS ? rec->state.attempt : ATTEMPTS];
}

static int64_t now_s(void *ctx)
{
    return ((struct handler *)ctx)->sim->now_ms / SECOND;
}

static void moment(void *ctx, int conflicts)
{
    struct handler *h = ctx;

    call_wait(h, sim_between(h->sim, 0, 20 << conflicts));
}

static enum err_code load(void *ctx, const char *job_id, struct record *rec, struct err *err)
{
    enum err_code code = store_load(ctx, job_of(job_id), rec);

    return code == OK ? OK : err_set(err, code, "load");
}

static enum err_code create_record(struct handler *h, int job, struct record *rec)
{
    if (!h->marked && !store_marker(h, job, true))
        return ERR_UNREACHABLE;
    return store_save(h, job, rec);
}

static void take_slot(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    if (h->place_known)
        rec->place = h->place;
    else if (!store_take_slot(h, job, &rec->place))
        return;
    h->place_known = false;
    rec->baseline = h->sim->line.version;
    seen->slot = rec->place == 0 ? YES : NO;
}

static enum err_code save(void *ctx, struct record *rec, struct err *err)
{
    struct handler *h = ctx;
    int job = job_of(rec->job_id);
    enum err_code code = *rec->etag != '\0' ? store_save(h, job, rec) : create_record(h, job, rec);

    return code == OK ? OK : err_set(err, code, "save");
}

static void look_zip(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    struct sim *s = h->sim;
    const struct job *j = &s->job[job];

    if (!call_out(h, SERVICE_STORAGE))
        return;
    bool whole = s->now_ms >= j->zip_ms && s->now_ms < j->zip_leaves_ms;
    if (!call_back(h, SERVICE_STORAGE))
        return;
    seen->zip = whole ? YES : NO;
    if (whole)
        num_put(rec->zip_etag, j->zip_ms);
}

static enum seen find_group(struct handler *h, int job, struct record *rec, bool *foreign, bool *leaving)
{
    enum seen there = arm_look_group(h, job, rec->state.attempt, foreign, leaving);

    if (there == YES && !*foreign)
        rec->group_made = rec->state.attempt;
    return there == YES && rec->group_made != rec->state.attempt ? NO : there;
}

static void look_deployment(struct handler *h, int job, const struct record *rec, struct job_seen *seen)
{
    enum deployment_state state;
    enum job_remedy asks;

    seen->deployment = arm_look_deployment(h, job, rec->state.attempt, &state, &asks);
    if (state == DEPLOYMENT_FAILED)
        seen->remedy = asks == REMEDY_WAIT ? REMEDY_BOOT : asks;
    else if (state == DEPLOYMENT_CANCELED)
        seen->remedy = REMEDY_NO;
    else if (state == DEPLOYMENT_SUCCEEDED)
        seen->ready = YES;
}

static void look_vm(struct handler *h, int job, const struct record *rec, struct job_seen *seen)
{
    bool on = false;

    seen->vm = arm_look_vm(h, job, rec->state.attempt, &on);
    if (seen->vm == YES && !on)
        seen->off = YES;
}

static void look_claim(struct handler *h, const struct attempt *a, struct job_seen *seen)
{
    if (!call_out(h, SERVICE_STORAGE))
        return;
    bool there = a->claim.etag != 0;
    if (call_back(h, SERVICE_STORAGE))
        seen->claim = there ? YES : NO;
}

static void look_status(struct handler *h, int job, const struct record *rec, struct job_seen *seen)
{
    if (!call_out(h, SERVICE_STORAGE))
        return;
    int64_t beat_s = machine_beat_ms(h->sim, job, rec->state.attempt < ATTEMPTS ? rec->state.attempt : ATTEMPTS) / SECOND;
    if (!call_back(h, SERVICE_STORAGE))
        return;
    seen->status = beat_s > 0 ? YES : NO;
    if (beat_s > 0)
        seen->heartbeat_s = beat_s;
}

static void look_result(struct handler *h, const struct attempt *a, struct record *rec, struct job_seen *seen)
{
    if (call_out(h, SERVICE_STORAGE)) {
        bool there = a->report.etag != 0;
        enum job_outcome says = a->report_says;
        if (call_back(h, SERVICE_STORAGE)) {
            seen->reported = there ? YES : NO;
            seen->report = there ? says : OUTCOME_NONE;
        }
    }
    if (!call_out(h, SERVICE_STORAGE))
        return;
    bool there = a->manifest.etag != 0 && !a->manifest_bad;
    struct blob manifest = a->manifest;
    if (!call_back(h, SERVICE_STORAGE))
        return;
    seen->manifest = there ? YES : NO;
    if (!there)
        return;
    num_put(rec->manifest_etag, manifest.etag);
    rec->files = MODEL_FILES;
    for (int i = 0; i < MODEL_FILES; i++)
        rec->file[i].size = a->manifest_says[i];
}

static void look(void *ctx, struct record *rec, uint32_t look, struct job_seen *seen)
{
    struct handler *h = ctx;
    int job = job_of(rec->job_id);
    const struct attempt *a = attempt_of(h->sim, job, rec);
    bool foreign, leaving;

    if (look & LOOK_ZIP)
        look_zip(h, job, rec, seen);
    if (look & LOOK_GROUP)
        seen->group = find_group(h, job, rec, &foreign, &leaving);
    if (look & LOOK_DEPLOYMENT)
        look_deployment(h, job, rec, seen);
    if (look & LOOK_CLAIM)
        look_claim(h, a, seen);
    if (look & LOOK_VM)
        look_vm(h, job, rec, seen);
    if (look & LOOK_STATUS)
        look_status(h, job, rec, seen);
    if (look & LOOK_RESULT)
        look_result(h, a, rec, seen);
}

static bool too_late(const struct handler *h, const struct record *rec)
{
    return h->sim->now_ms / SECOND >= rec->state.create_until_s;
}

static void create(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    bool foreign, leaving;
    enum deployment_state state;
    enum job_remedy asks;

    seen->remedy = REMEDY_WAIT;
    if (!call_out(h, SERVICE_STORAGE) || !call_back(h, SERVICE_STORAGE)) /* the scripts and the log folder */
        return;
    enum seen there = find_group(h, job, rec, &foreign, &leaving);
    if (foreign && !leaving)
        seen->remedy = REMEDY_NO;
    if (foreign || leaving || there == UNSEEN || (there == NO && too_late(h, rec)))
        return;
    bool made = false;
    if (there == NO && !arm_put_group(h, job, rec->state.attempt, rec->state.create_until_s, &made))
        return;
    if (there == NO)
        rec->group_made = rec->state.attempt;
    there = made ? NO : arm_look_deployment(h, job, rec->state.attempt, &state, &asks);
    if (there == YES) {
        seen->deployment = YES;
        seen->remedy = REMEDY_NONE;
    }
    if (there != NO || too_late(h, rec))
        return;
    bool taken = arm_put_deployment(h, job, rec, &asks);
    seen->remedy = taken ? REMEDY_NONE : asks;
}

static void fence(struct handler *h, int job, const struct record *rec)
{
    struct attempt *a = attempt_of(h->sim, job, rec);

    if (!call_out(h, SERVICE_STORAGE))
        return;
    if (a->claim.etag == 0) {
        a->claim.etag = sim_etag(h->sim);
        a->claimed_by = 0;
        sim_note(h->sim, EVENT_FENCE, job, rec->state.attempt, 0, 0);
    }
    call_back(h, SERVICE_STORAGE);
}

/* control/<job>.json: read with each heartbeat. */
static void control(struct handler *h, int job, const struct record *rec, struct job_seen *seen)
{
    if (!call_out(h, SERVICE_STORAGE))
        return;
    struct blob there = h->sim->job[job].control;
    if (!call_back(h, SERVICE_STORAGE))
        return;
    bool enough = there.etag != 0 && there.content >= rec->state.deadline_s && there.content <= rec->state.hard_stop_s;
    if (!enough && !call_out(h, SERVICE_STORAGE))
        return;
    bool wins = !enough && h->sim->job[job].control.etag == there.etag;
    if (wins) {
        h->sim->job[job].control = (struct blob){.etag = sim_etag(h->sim), .content = rec->state.deadline_s};
        sim_note(h->sim, EVENT_CONTROL, job, rec->state.attempt, rec->state.deadline_s, 0);
    }
    if (enough || (call_back(h, SERVICE_STORAGE) && wins))
        seen->control = YES;
}

static bool deployment_is_over(struct handler *h, int job, const struct record *rec)
{
    enum deployment_state state;
    enum job_remedy asks;

    if (arm_look_deployment(h, job, rec->state.attempt, &state, &asks) != YES || state != DEPLOYMENT_RUNNING)
        return true;
    arm_cancel(h, job, rec->state.attempt);
    for (int i = 0; i < 3; i++) {
        call_wait(h, SECOND);
        if (arm_look_deployment(h, job, rec->state.attempt, &state, &asks) != YES || state != DEPLOYMENT_RUNNING)
            return true;
    }
    return h->sim->now_ms / SECOND >= rec->state.machine_since_s + 60;
}

static void delete_group(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    bool foreign, leaving, locked = false;

    seen->group = find_group(h, job, rec, &foreign, &leaving);
    if (seen->group == YES && !foreign && !leaving && deployment_is_over(h, job, rec))
        arm_delete(h, job, rec->state.attempt, &locked);
    if (locked)
        seen->locked = YES;
}

static void tell(struct handler *h, int job, const struct record *rec, struct job_seen *seen)
{
    static const enum job_notice all[] = {NOTICE_RESULT_FILE, NOTICE_ACCEPTED, NOTICE_STARTED, NOTICE_AGAIN, NOTICE_RESULT, NOTICE_STUCK};
    uint32_t due = job_untold(&rec->state);

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if ((due & all[i]) == 0)
            continue;
        enum service service = all[i] == NOTICE_RESULT_FILE ? SERVICE_STORAGE : SERVICE_SLACK;
        bool told = call_out(h, service);
        if (told)
            sim_note(h->sim, EVENT_TOLD, job, rec->state.attempt, all[i], (int)rec->state.outcome * 100 + (int)rec->state.reason);
        if (told)
            told = call_back(h, service);
        if (told)
            seen->told |= all[i];
        else if (all[i] != NOTICE_RESULT_FILE)
            return; /* in order, or later */
    }
}

static void act(void *ctx, struct record *rec, uint32_t act, struct job_seen *seen)
{
    struct handler *h = ctx;
    int job = job_of(rec->job_id);

    if (act & ACT_TAKE_SLOT)
        take_slot(h, job, rec, seen);
    if (act & ACT_CREATE)
        create(h, job, rec, seen);
    if (act & ACT_CONTROL)
        control(h, job, rec, seen);
    if (act & ACT_FENCE)
        fence(h, job, rec);
    if ((act & ACT_EVIDENCE) && call_out(h, SERVICE_ARM)) {
        sim_note(h->sim, EVENT_EVIDENCE, job, rec->state.attempt, 0, 0);
        call_back(h, SERVICE_ARM);
    }
    if (act & ACT_DELETE)
        delete_group(h, job, rec, seen);
    if (act & ACT_VERIFY)
        publish_verify(h, job, rec, seen);
    if (act & ACT_TAKE_LINE)
        publish_take_line(h, job, rec, seen);
    if (act & ACT_COPY)
        publish_copy(h, job, rec, seen);
    if (act & ACT_POINT)
        publish_point(h, job, rec, seen);
    if (act & ACT_FREE_LINE)
        publish_free_line(h, job, rec, seen);
    if ((act & ACT_FREE_SLOT) && store_free_slot(h, job))
        seen->slot = NO;
    if (act & ACT_TELL)
        tell(h, job, rec, seen);
    if (act & ACT_FORGET)
        store_marker(h, job, false);
}

struct job_world world_of(struct handler *h)
{
    return (struct job_world){.ctx = h,
                              .now_s = now_s,
                              .pause = moment,
                              .until_s = h->until_ms / SECOND,
                              .order = h->order,
                              .extend_s = h->extend_s,
                              .load = load,
                              .save = save,
                              .look = look,
                              .act = act};
}
