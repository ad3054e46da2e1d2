/* What a training VM does, from its boot to its end, and all the ways in which it comes to grief. */
#include "sim.h"

enum ending {
    END_GOOD,      /* files, manifest, report, bell */
    END_NO_REPORT, /* files and manifest, and then nothing more */
    END_FAILED,    /* reports a failure */
    END_TIMED_OUT, /* reports that time was up */
    END_NO_MODEL,  /* reports success without a manifest */
    END_BAD,       /* a manifest that cannot be read */
    END_BROKEN,    /* files that are not what the manifest says */
    END_TAMPERED,  /* files that are changed after the manifest was written */
    END_CRASH,     /* stops working, stays on, says nothing */
    END_OFF,       /* switches itself off and says nothing */
    END_TAKEN,     /* is deleted by somebody */
    END_HANGS,     /* beats for ever */
    END_MUTE,      /* its heartbeats stop, it works on and delivers */
    END_NO_CLAIM,  /* boots and never claims */
    ENDINGS
};
enum step { STEP_CLAIM, STEP_END, STEP_UPLOADED, STEP_REPORT, STEP_BELL, STEP_TAMPER, STEP_NOTHING };

static struct attempt *attempt_of(struct sim *s, int job, int attempt)
{
    return &s->job[job].attempt[attempt < ATTEMPTS ? attempt : ATTEMPTS];
}

static void next(struct sim *s, int job, int attempt, enum step step, int64_t in_ms)
{
    struct machine *m = &attempt_of(s, job, attempt)->group.vm;

    m->step = (int)step;
    m->next_ms = s->now_ms + in_ms;
    sim_wake(s, ACTOR_MACHINE, job * (ATTEMPTS + 1) + attempt, m->next_ms);
}

void machine_boot(struct sim *s, int job, int attempt)
{
    struct attempt *a = attempt_of(s, job, attempt);
    struct machine *m = &a->group.vm;

    *m = (struct machine){.exists = true, .id = ++s->next_machine, .hard_stop_s = a->group.hard_stop_s, .beats_until_ms = NEVER};
    m->ending = sim_trouble(s, s->p.machine_trouble) ? (int)sim_between(s, END_FAILED, ENDINGS - 1)
                : sim_trouble(s, s->p.model_trouble) ? (int)sim_between(s, END_NO_REPORT, END_TAMPERED)
                                                     : END_GOOD;
    sim_note(s, EVENT_VM, job, attempt, m->id, 0);
    next(s, job, attempt, STEP_CLAIM,
         sim_trouble(s, s->p.machine_trouble / 4) ? sim_between(s, MINUTE, 60 * MINUTE) : sim_between(s, 25 * SECOND, 90 * SECOND));
}

static void rest(struct sim *s, int job, int attempt)
{
    struct machine *m = &attempt_of(s, job, attempt)->group.vm;

    if (m->at_work)
        sim_note(s, EVENT_REST, job, attempt, m->id, 0);
    m->at_work = false;
    if (m->beats_until_ms > s->now_ms)
        m->beats_until_ms = s->now_ms;
}

static void switch_off(struct sim *s, int job, int attempt)
{
    struct machine *m = &attempt_of(s, job, attempt)->group.vm;

    rest(s, job, attempt);
    m->off = true;
    m->step = STEP_NOTHING;
    m->next_ms = NEVER;
    sim_note(s, EVENT_VM_OFF, job, attempt, m->id, 0);
}

void machine_end(struct sim *s, int job, int attempt, bool deleted)
{
    struct machine *m = &attempt_of(s, job, attempt)->group.vm;

    rest(s, job, attempt);
    if (deleted)
        sim_note(s, EVENT_VM_GONE, job, attempt, m->id, 0);
    m->exists = !deleted;
    m->step = STEP_NOTHING;
    m->next_ms = NEVER;
}

/* When it last wrote its status: once a minute as long as it works. */
int64_t machine_beat_ms(struct sim *s, int job, int attempt)
{
    struct attempt *a = attempt_of(s, job, attempt);
    const struct machine *m = &a->group.vm;

    if (a->group.exists && m->exists && m->claimed) {
        int64_t to_ms = s->now_ms < m->beats_until_ms ? s->now_ms : m->beats_until_ms;
        a->beat_ms = m->claim_ms + (to_ms - m->claim_ms) / MINUTE * MINUTE;
    }
    return a->beat_ms;
}

static void claim(struct sim *s, int job, int attempt)
{
    struct attempt *a = attempt_of(s, job, attempt);
    struct machine *m = &a->group.vm;

    if (m->ending == END_NO_CLAIM)
        return;
    if (a->claim.etag != 0 && a->claimed_by != m->id) {
        sim_note(s, EVENT_FENCED, job, attempt, m->id, 0);
        switch_off(s, job, attempt);
        return;
    }
    a->claim.etag = sim_etag(s);
    a->claimed_by = m->id;
    m->claimed = m->at_work = true;
    m->claim_ms = a->beat_ms = s->now_ms;
    sim_note(s, EVENT_CLAIM, job, attempt, m->id, 0);
    if (m->ending == END_MUTE) {
        m->beats_until_ms = s->now_ms + sim_between(s, MINUTE, 10 * MINUTE);
        sim_note(s, EVENT_SILENT, job, attempt, m->id, m->beats_until_ms);
    }
    int64_t left_ms = m->hard_stop_s * SECOND - s->now_ms;
    int64_t works_ms = m->ending == END_HANGS || m->ending == END_MUTE
                           ? sim_between(s, 20 * MINUTE, left_ms > 21 * MINUTE ? left_ms : 21 * MINUTE)
                           : sim_between(s, MINUTE, 25 * MINUTE);
    if (a->group.spot && sim_trouble(s, s->p.evictions)) {
        m->ending = END_TAKEN;
        works_ms = sim_between(s, SECOND, works_ms);
    }
    next(s, job, attempt, STEP_END, works_ms);
}

static void upload(struct sim *s, int job, int attempt, enum event_kind kind)
{
    struct attempt *a = attempt_of(s, job, attempt);
    int64_t content = sim_etag(s);

    for (int i = 0; i < MODEL_FILES; i++)
        a->file[i] = (struct blob){.etag = sim_etag(s), .content = content * 8 + i};
    sim_note(s, kind, job, attempt, content, 0);
}

static void write_manifest(struct sim *s, int job, int attempt)
{
    struct attempt *a = attempt_of(s, job, attempt);
    int ending = a->group.vm.ending;
    int64_t content = a->file[0].content / 8;

    if (a->manifest.etag != 0) /* create-only */
        return;
    for (int i = 0; i < MODEL_FILES; i++)
        a->manifest_says[i] = a->file[i].content;
    if (ending == END_BROKEN && sim_chance(s, 500))
        a->file[sim_between(s, 0, MODEL_FILES - 1)] = (struct blob){0}; /* not there */
    else if (ending == END_BROKEN)
        a->manifest_says[sim_between(s, 0, MODEL_FILES - 1)] += 4;
    a->manifest_bad = ending == END_BAD;
    a->manifest = (struct blob){.etag = sim_etag(s), .content = content * 8 + 7};
    sim_note(s, EVENT_MANIFEST, job, attempt, content, !a->manifest_bad && ending != END_BROKEN);
}

static void end_work(struct sim *s, int job, int attempt)
{
    struct machine *m = &attempt_of(s, job, attempt)->group.vm;

    switch (m->ending) {
    case END_CRASH:
        machine_end(s, job, attempt, false);
        break;
    case END_OFF:
    case END_HANGS: /* the unit's own limit */
        switch_off(s, job, attempt);
        break;
    case END_TAKEN:
        sim_note(s, EVENT_EVICT, job, attempt, m->id, 0);
        machine_end(s, job, attempt, true);
        break;
    case END_FAILED:
    case END_TIMED_OUT:
    case END_NO_MODEL:
        next(s, job, attempt, STEP_REPORT, 1);
        break;
    default:
        upload(s, job, attempt, EVENT_UPLOAD);
        next(s, job, attempt, STEP_UPLOADED, sim_between(s, SECOND, 20 * SECOND));
        break;
    }
}

static void uploaded(struct sim *s, int job, int attempt)
{
    struct machine *m = &attempt_of(s, job, attempt)->group.vm;

    write_manifest(s, job, attempt);
    if (m->ending == END_NO_REPORT)
        machine_end(s, job, attempt, false);
    else if (m->ending == END_TAMPERED)
        next(s, job, attempt, STEP_TAMPER, sim_between(s, 0, 90 * SECOND));
    else
        next(s, job, attempt, STEP_REPORT, sim_between(s, 0, 20 * SECOND));
}

static void report(struct sim *s, int job, int attempt)
{
    struct attempt *a = attempt_of(s, job, attempt);

    if (a->report.etag == 0) {
        int ending = a->group.vm.ending;
        a->report_says = ending == END_FAILED ? OUTCOME_FAILED : ending == END_TIMED_OUT ? OUTCOME_TIMED_OUT : OUTCOME_SUCCEEDED;
        a->report.etag = sim_etag(s);
        sim_note(s, EVENT_REPORT, job, attempt, a->report_says, 0);
    }
    rest(s, job, attempt);
    if (sim_trouble(s, s->p.machine_trouble))
        machine_end(s, job, attempt, false); /* its bell is never heard */
    else
        next(s, job, attempt, STEP_BELL, sim_between(s, 0, SECOND));
}

static void ring(struct sim *s, int job, int attempt)
{
    sim_note(s, EVENT_BELL, job, attempt, 0, 0);
    for (int times = sim_trouble(s, s->p.twice) ? 3 : 1, i = 0; i < MESSAGES && times > 0; i++)
        if (!s->message[i].exists) {
            s->message[i] = (struct message){.kind = MESSAGE_BELL, .exists = true, .job = job, .attempt = attempt};
            s->message[i].next_ms = s->now_ms + sim_between(s, 0, times > 1 ? 5 * MINUTE : 2 * SECOND);
            sim_wake(s, ACTOR_MESSAGE, i, s->message[i].next_ms);
            times--;
        }
    machine_end(s, job, attempt, false);
}

void machine_event(struct sim *s, int job, int attempt)
{
    struct machine *m = &attempt_of(s, job, attempt)->group.vm;
    enum step step = (enum step)m->step;

    if (!m->exists || m->off)
        return;
    m->next_ms = NEVER;
    m->step = STEP_NOTHING;
    if (step == STEP_CLAIM)
        claim(s, job, attempt);
    else if (step == STEP_END)
        end_work(s, job, attempt);
    else if (step == STEP_UPLOADED)
        uploaded(s, job, attempt);
    else if (step == STEP_REPORT)
        report(s, job, attempt);
    else if (step == STEP_BELL)
        ring(s, job, attempt);
    else if (step == STEP_TAMPER) {
        upload(s, job, attempt, EVENT_TAMPER);
        next(s, job, attempt, STEP_REPORT, SECOND);
    }
}
