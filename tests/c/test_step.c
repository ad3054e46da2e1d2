/* The decisions, one row a situation: what was, what was seen, what must follow. */
#include "test.h"

#include "step_states.h"

static void test_queued_waits_for_zip_then_slot(void **state)
{
    (void)state;
    struct job_state s = job_accepted(T0);
    struct job_next n = step(s, (struct job_seen){0}, T0);
    assert_int_equal(n.look, LOOK_ZIP);
    assert_int_equal(n.state.machine, MACHINE_QUEUED);
    n = step(s, (struct job_seen){.zip = YES}, T0);
    assert_int_equal(n.act, ACT_TAKE_SLOT); /* nobody is told before the machine is ordered */
    n = step(s, (struct job_seen){.zip = YES, .slot = NO}, T0);
    assert_int_equal(n.act, ACT_TELL);
    n = step(s, (struct job_seen){.zip = YES, .slot = YES, .until_s = T0 + 120}, T0 + 5);
    assert_int_equal(n.state.machine, MACHINE_PROVISIONING);
    assert_int_equal(n.act, ACT_CREATE);
    assert_int_equal(n.state.attempt, 1);
    assert_int_equal(n.state.create_until_s, T0 + 120);
    assert_int_equal(n.state.deadline_s, T0 + 5 + TERMS.run_s);
    assert_int_equal(n.state.train_until_s, n.state.deadline_s - TERMS.run_s / 10);
    assert_int_equal(n.state.hard_stop_s, T0 + 5 + TERMS.run_max_s);
}

static void test_reserve_is_at_least_ten_minutes(void **state)
{
    (void)state;
    struct job_terms terms = TERMS;
    terms.run_s = 1800;
    struct job_state s = job_accepted(T0);
    struct job_seen seen = {.zip = YES, .slot = YES, .until_s = T0 + 120};
    struct job_next n = job_step(&terms, &s, &seen, T0);
    assert_int_equal(n.state.train_until_s, T0 + 1800 - 600);
}

static void test_zip_missing_rejects_only_when_storage_says_so(void **state)
{
    (void)state;
    struct job_state s = job_accepted(T0);
    assert_int_equal(step(s, (struct job_seen){.zip = NO}, T0 + 299).state.machine, MACHINE_QUEUED);
    assert_int_equal(step(s, (struct job_seen){0}, T0 + 3899).state.outcome, OUTCOME_NONE);
    assert_int_equal(step(s, (struct job_seen){0}, T0 + 3900).state.reason, REASON_ZIP); /* a share that never answers ends it too */
    struct job_next n = step(s, (struct job_seen){.zip = NO}, T0 + 300);
    assert_int_equal(n.state.outcome, OUTCOME_REJECTED);
    assert_int_equal(n.state.reason, REASON_ZIP);
    assert_int_equal(n.state.machine, MACHINE_DELETING);
    assert_int_equal(n.act & (ACT_DELETE | ACT_FENCE), 0); /* there never was a machine */
}

static void test_a_zip_replaced_while_the_job_waits_gets_its_wait_again(void **state)
{
    (void)state;
    struct job_next n = step(job_accepted(T0), (struct job_seen){.zip = YES, .slot = NO}, T0 + 5000);
    assert_int_equal(step(n.state, (struct job_seen){.zip = NO}, T0 + 5299).state.machine, MACHINE_QUEUED);
    assert_int_equal(step(n.state, (struct job_seen){.zip = NO}, T0 + 5300).state.reason, REASON_ZIP);
}

static void test_404_before_create_until_proves_nothing(void **state)
{
    (void)state;
    struct job_state s = provisioning(T0 + 120);
    struct job_seen nothing = {.deployment = NO, .claim = NO, .manifest = NO, .reported = NO, .until_s = T0 + 400};
    assert_int_equal(step(s, nothing, T0 + 180).act & ACT_CREATE, 0);
    struct job_next n = step(s, nothing, T0 + 181);
    assert_int_equal(n.act & ACT_CREATE, ACT_CREATE);
    assert_int_equal(n.state.attempt, 1); /* the same attempt, the same names */
    assert_int_equal(n.state.started_s, T0 + 181);
    assert_int_equal(n.state.create_until_s, T0 + 400);
}

static void test_creation_is_given_up_after_its_wait(void **state)
{
    (void)state;
    struct job_next n = step(provisioning(T0 + 120), (struct job_seen){.deployment = NO}, T0 + 3600);
    assert_int_equal(n.state.outcome, OUTCOME_FAILED);
    assert_int_equal(n.state.reason, REASON_CREATE_WAIT);
    assert_int_equal(n.act & (ACT_DELETE | ACT_FENCE), ACT_DELETE | ACT_FENCE);
}

static void test_deployment_seen_makes_a_404_proof(void **state)
{
    (void)state;
    struct job_next n = step(provisioning(T0 + 120), (struct job_seen){.deployment = YES}, T0 + 10);
    assert_int_equal(n.state.create_until_s, 0);
    struct job_seen seen = {.deployment = NO, .vm = NO, .claim = NO, .manifest = NO, .reported = NO};
    n = step(provisioning(0), seen, T0 + 20); /* one 404 of a lagging read proves nothing */
    assert_int_equal(n.state.machine, MACHINE_PROVISIONING);
    assert_int_equal(step(n.state, seen, T0 + 20 + GONE_AGAIN_S).state.reason, REASON_GONE);
    seen.deployment = YES;
    assert_int_equal(step(n.state, seen, T0 + 50).state.lost_since_s, 0);
}

/* Somebody deleted it, which is how a job may be cancelled by hand, while storage does not say what it left. */
static void test_what_was_there_is_never_ordered_again(void **state)
{
    (void)state;
    struct job_seen seen = {.deployment = NO, .vm = NO, .claim = NO, .reported = NO};
    struct job_next n = step(provisioning(0), seen, T0 + 100);
    assert_int_equal(n.act & ACT_CREATE, 0);
    assert_int_equal(n.state.machine, MACHINE_PROVISIONING);
}

static void test_final_refusal_fails_at_once(void **state)
{
    (void)state;
    struct job_next n = step(provisioning(T0 + 120), (struct job_seen){.remedy = REMEDY_NO}, T0 + 1);
    assert_int_equal(n.state.reason, REASON_REFUSED);
    assert_int_equal(n.state.machine, MACHINE_DELETING);
    n = step(provisioning(T0 + 120), (struct job_seen){.remedy = REMEDY_WAIT}, T0 + 1);
    assert_int_equal(n.state.machine, MACHINE_PROVISIONING);
}

static void test_claim_means_running_and_is_told(void **state)
{
    (void)state;
    struct job_next n = step(provisioning(T0 + 120), (struct job_seen){.claim = YES, .deployment = YES}, T0 + 60);
    assert_int_equal(n.state.machine, MACHINE_RUNNING);
    assert_int_equal(n.act, ACT_TELL);
    assert_true(n.state.due & NOTICE_STARTED);
}

static void test_manifest_outranks_report(void **state)
{
    (void)state;
    struct job_next n = step(running(), (struct job_seen){.manifest = YES, .reported = YES, .report = OUTCOME_FAILED}, T0 + 60);
    assert_int_equal(n.state.model, MODEL_OFFERED);
    assert_int_equal(n.state.outcome, OUTCOME_NONE);
    assert_int_equal(n.state.machine, MACHINE_DELETING);
    assert_true(n.act & ACT_DELETE);
}

static void test_report_without_manifest_is_failure(void **state)
{
    (void)state;
    static const struct {
        enum job_outcome report, outcome;
        enum job_reason reason;
    } rows[] = {
        {OUTCOME_SUCCEEDED, OUTCOME_FAILED, REASON_NO_MODEL},
        {OUTCOME_FAILED, OUTCOME_FAILED, REASON_REPORT},
        {OUTCOME_TIMED_OUT, OUTCOME_TIMED_OUT, REASON_REPORT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct job_next n = step(running(), (struct job_seen){.manifest = NO, .reported = YES, .report = rows[i].report}, T0 + 60);
        assert_int_equal(n.state.outcome, rows[i].outcome);
        assert_int_equal(n.state.reason, rows[i].reason);
        /* the manifest could not be looked at: no verdict */
        n = step(running(), (struct job_seen){.reported = YES, .report = rows[i].report}, T0 + 60);
        assert_int_equal(n.state.machine, MACHINE_RUNNING);
    }
}

static void test_running_ends_only_with_proof(void **state)
{
    (void)state;
    const struct job_seen quiet = {.manifest = NO, .reported = NO};
    int64_t late = T0 + TERMS.run_s;
    assert_int_equal(step(running(), quiet, late - 1).state.machine, MACHINE_RUNNING);
    struct job_next n = step(running(), quiet, late);
    assert_int_equal(n.state.outcome, OUTCOME_TIMED_OUT);
    assert_true(n.act & ACT_DELETE);
    struct job_seen seen = quiet;
    seen.vm = NO;
    n = step(running(), seen, T0 + 60); /* one 404 of a lagging read proves nothing */
    assert_int_equal(n.state.machine, MACHINE_RUNNING);
    seen.at_s = T0 + 60; /* nor does the same look, however long it took */
    assert_int_equal(step(n.state, seen, T0 + 160).state.machine, MACHINE_RUNNING);
    seen.at_s = T0 + 60 + GONE_AGAIN_S;
    assert_int_equal(step(n.state, seen, T0 + 160).state.reason, REASON_GONE);
    seen.vm = YES;
    assert_int_equal(step(n.state, seen, T0 + 160).state.lost_since_s, 0);
    seen = quiet;
    seen.vm = YES;
    seen.status = YES;
    seen.heartbeat_s = T0 + 10;
    assert_int_equal(step(running(), seen, T0 + 910).state.machine, MACHINE_RUNNING);
    assert_int_equal(step(running(), seen, T0 + 911).state.reason, REASON_SILENT);
    seen.vm = UNSEEN; /* silence alone proves nothing */
    assert_int_equal(step(running(), seen, T0 + 5000).state.machine, MACHINE_RUNNING);
    seen.vm = YES;
    seen.heartbeat_s = 0; /* a status that cannot be read is not old */
    assert_int_equal(step(running(), seen, T0 + 5000).state.machine, MACHINE_RUNNING);
    struct job_state claimed = running();
    claimed.machine_since_s = T0 + 100;
    seen.status = NO; /* claimed, and never heard of again */
    assert_int_equal(step(claimed, seen, T0 + 1000).state.machine, MACHINE_RUNNING);
    assert_int_equal(step(claimed, seen, T0 + 1001).state.reason, REASON_SILENT);
    seen.off = YES;
    assert_int_equal(step(claimed, seen, T0 + 200).state.reason, REASON_GONE); /* off is no longer at work, and costs */
}

/* What was seen before a limit is no proof after it, however long the calls in between took. */
static void test_a_look_before_a_limit_proves_nothing_after_it(void **state)
{
    (void)state;
    struct job_seen seen = {.at_s = T0 + TERMS.run_s - 1, .manifest = NO, .reported = NO};
    assert_int_equal(step(running(), seen, T0 + TERMS.run_s + 100).state.machine, MACHINE_RUNNING);
    seen = (struct job_seen){.at_s = T0 + 170, .deployment = NO, .claim = NO, .manifest = NO, .reported = NO, .until_s = T0 + 400};
    assert_int_equal(step(provisioning(T0 + 120), seen, T0 + 300).act & ACT_CREATE, 0);
    seen = (struct job_seen){.at_s = T0 + 299, .zip = NO};
    assert_int_equal(step(job_accepted(T0), seen, T0 + 400).state.outcome, OUTCOME_NONE);
}

/* A machine may deliver while it is being given up: a complete model is not thrown away. */
static void test_a_model_that_comes_while_the_attempt_is_deleted_is_taken(void **state)
{
    (void)state;
    struct job_next n = step(deleting(MODEL_NONE, OUTCOME_NONE), (struct job_seen){.group = YES}, T0 + 1);
    assert_int_equal(n.look & LOOK_RESULT, LOOK_RESULT);
    n = step(n.state, (struct job_seen){.group = YES, .manifest = YES}, T0 + 2);
    assert_int_equal(n.state.model, MODEL_OFFERED);
    assert_int_equal(n.act & (ACT_DELETE | ACT_VERIFY), ACT_DELETE | ACT_VERIFY);
    n = step(deleting(MODEL_NONE, OUTCOME_FAILED), (struct job_seen){.group = YES, .manifest = YES}, T0 + 2);
    assert_int_equal(n.state.model, MODEL_NONE); /* the outcome is set once */
}

static void test_model_goes_step_by_step(void **state)
{
    (void)state;
    struct job_seen gone = {.group = NO};
    struct job_next n = step(deleting(MODEL_OFFERED, OUTCOME_NONE), gone, T0 + 1);
    assert_true(n.act & ACT_VERIFY);
    struct job_seen seen = gone;
    seen.model = MODEL_VERIFIED;
    n = step(deleting(MODEL_OFFERED, OUTCOME_NONE), seen, T0 + 1);
    assert_int_equal(n.state.model, MODEL_VERIFIED);
    assert_true(n.act & ACT_TAKE_LINE);
    assert_false(n.act & ACT_COPY);
    seen.line = YES;
    seen.version = 7;
    n = step(n.state, seen, T0 + 2);
    assert_int_equal(n.state.version, 7);
    assert_true(n.act & ACT_COPY);
    seen.model = MODEL_COPIED;
    n = step(n.state, seen, T0 + 3);
    assert_true(n.act & ACT_POINT);
    seen.model = MODEL_CURRENT;
    n = step(n.state, seen, T0 + 4);
    assert_int_equal(n.state.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(n.state.reason, REASON_PUBLISHED);
    assert_true(n.act & ACT_FREE_LINE);
    assert_int_equal(n.state.machine, MACHINE_DELETING); /* line, slot and people first */
    seen.line = NO;
    seen.slot = NO;
    seen.told = NOTICE_RESULT | NOTICE_RESULT_FILE;
    n = step(n.state, seen, T0 + 5);
    assert_int_equal(n.state.machine, MACHINE_CLOSED);
    assert_true(n.act & ACT_FORGET);
}

static void test_copying_is_ordered_only_with_a_line(void **state)
{
    (void)state;
    struct job_next n = step(deleting(MODEL_VERIFIED, OUTCOME_NONE), (struct job_seen){.line = NO}, T0 + 1);
    assert_false(n.act & ACT_COPY);
}

static void test_broken_and_kept(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_VERIFIED, OUTCOME_NONE);
    s.version = 3;
    struct job_next n = step(s, (struct job_seen){.model = MODEL_BROKEN}, T0 + 1);
    assert_int_equal(n.state.outcome, OUTCOME_FAILED);
    assert_int_equal(n.state.reason, REASON_MODEL);
    assert_true(n.act & ACT_FREE_LINE);
    n = step(deleting(MODEL_VERIFIED, OUTCOME_NONE), (struct job_seen){.model = MODEL_KEPT, .kept = REASON_LINE_TASK}, T0 + 1);
    assert_int_equal(n.state.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(n.state.reason, REASON_LINE_TASK);
    n = step(deleting(MODEL_VERIFIED, OUTCOME_NONE), (struct job_seen){.model = MODEL_KEPT, .kept = REASON_GATE}, T0 + 1);
    assert_int_equal(n.state.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(n.state.reason, REASON_GATE);
    assert_int_equal(n.state.version, 0);
    assert_int_equal(n.act & (ACT_COPY | ACT_POINT), 0);
    assert_int_equal(step(n.state, (struct job_seen){0}, T0 + 2).state.reason, REASON_GATE); /* after a kill, too */
    n = step(deleting(MODEL_OFFERED, OUTCOME_NONE), (struct job_seen){0}, T0 + 1800);
    assert_int_equal(n.state.reason, REASON_PUBLISH_WAIT);
    n = step(s, (struct job_seen){0}, T0 + 180000); /* the first copy is ordered: no limit any more */
    assert_int_equal(n.state.model, MODEL_VERIFIED);
    assert_true(n.act & ACT_COPY);
}

/* A job that has no machine goes the way of a model from its first step, and has nothing to show but that. */
static void test_released(void **state)
{
    (void)state;
    struct job_next n = step(job_released(T0), (struct job_seen){0}, T0);
    assert_int_equal(n.state.due, 0); /* its result says it all */
    assert_int_equal(n.act & ACT_VERIFY, ACT_VERIFY);
    assert_int_equal(n.act & (ACT_COPY | ACT_POINT | ACT_TAKE_LINE | ACT_CREATE | ACT_DELETE | ACT_TAKE_SLOT), 0);
    assert_int_equal(n.look, 0);
    struct job_seen seen = {.slot = NO, .model = MODEL_VERIFIED};
    n = step(n.state, seen, T0 + 1);
    assert_int_equal(n.act & (ACT_TAKE_LINE | ACT_COPY), ACT_TAKE_LINE);
    seen.line = YES;
    seen.version = 7;
    n = step(n.state, seen, T0 + 2);
    assert_int_equal(n.act & (ACT_TAKE_LINE | ACT_COPY), ACT_COPY);
    seen.model = MODEL_COPIED;
    n = step(n.state, seen, T0 + 3);
    assert_int_equal(n.act & ACT_POINT, ACT_POINT);
    seen.model = MODEL_CURRENT;
    n = step(n.state, seen, T0 + 4);
    assert_int_equal(n.state.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(n.state.reason, REASON_PUBLISHED);
    assert_int_equal(n.state.version, 7);
    seen.line = NO;
    seen.told = NOTICE_RESULT | NOTICE_RESULT_FILE;
    n = step(n.state, seen, T0 + 5);
    assert_int_equal(n.state.machine, MACHINE_CLOSED);
    assert_int_equal(n.state.attempt, 0);

    n = step(job_released(T0), (struct job_seen){.order = ORDER_CANCEL}, T0 + 1); /* it is done before anybody can mean that */
    assert_int_equal(n.state.outcome, OUTCOME_NONE);
    n = step(job_released(T0), (struct job_seen){0}, T0 + 1800);
    assert_int_equal(n.state.outcome, OUTCOME_FAILED);
    assert_int_equal(n.state.reason, REASON_PUBLISH_WAIT);
}

static void test_c1_05_deleted_is_believed_at_404_only(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_FAILED);
    struct job_seen seen = {.slot = NO};
    s.gone_since_s = 0;
    for (enum seen group = UNSEEN; group <= YES; group++) {
        seen.group = group;
        struct job_next n = step(s, seen, T0 + 1000);
        assert_int_equal(n.state.machine, MACHINE_DELETING);
        assert_int_equal(n.act & ACT_DELETE, group == NO ? 0 : ACT_DELETE);
        n = step(n.state, seen, T0 + 1060);
        assert_int_equal(n.state.machine, group == NO ? MACHINE_CLOSED : MACHINE_DELETING);
    }
    s.create_until_s = T0 + 120;
    seen.group = NO;
    assert_int_equal(step(s, seen, T0 + 180).state.gone_since_s, 0);
    assert_int_equal(step(s, seen, T0 + 181).state.gone_since_s, T0 + 181);
}

static void test_one_404_of_a_lagging_read_closes_nothing(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_FAILED);
    s.gone_since_s = 0;
    struct job_next n = step(s, (struct job_seen){.group = NO, .slot = NO}, T0 + 100);
    n = step(n.state, (struct job_seen){.group = YES, .slot = NO}, T0 + 160);
    assert_true(n.act & ACT_DELETE);
    n = step(n.state, (struct job_seen){.group = NO, .slot = NO}, T0 + 220);
    assert_int_equal(n.state.machine, MACHINE_DELETING);
}

/* A report that cannot be read must not keep a machine alive. */
static void test_the_deadline_holds_when_storage_does_not_say(void **state)
{
    (void)state;
    int64_t late = T0 + TERMS.run_s;
    assert_int_equal(step(running(), (struct job_seen){0}, late + 599).state.machine, MACHINE_RUNNING);
    struct job_next n = step(running(), (struct job_seen){.manifest = NO}, late + 600);
    assert_int_equal(n.state.outcome, OUTCOME_TIMED_OUT);
    assert_true(n.act & ACT_DELETE);
    assert_int_equal(step(provisioning(0), (struct job_seen){.deployment = YES}, late + 600).state.outcome, OUTCOME_TIMED_OUT);
}

static void test_untold_holds_the_job_for_a_day(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_FAILED);
    s.due = NOTICE_RESULT;
    struct job_seen seen = {.group = NO, .slot = NO};
    struct job_next n = step(s, seen, T0 + 86399);
    assert_int_equal(n.state.machine, MACHINE_DELETING);
    assert_true(n.act & ACT_TELL);
    n = step(s, seen, T0 + 86400);
    assert_int_equal(n.state.machine, MACHINE_CLOSED);
    assert_int_equal(n.state.untold, NOTICE_RESULT);
}

static void test_c1_05_a_deletion_that_takes_half_an_hour_is_told(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_FAILED);
    assert_false(step(s, (struct job_seen){.group = YES}, T0 + 1799).state.due & NOTICE_STUCK);
    assert_false(step(s, (struct job_seen){.group = UNSEEN}, T0 + 1800).state.due & NOTICE_STUCK);
    struct job_next n = step(s, (struct job_seen){.group = YES}, T0 + 1800);
    assert_true(n.state.due & NOTICE_STUCK);
    assert_true(n.act & ACT_TELL);
}

/* Nobody is told that a machine costs money when it no longer does; and of the next one they are told again. */
static void test_a_deletion_that_has_ended_is_not_stuck(void **state)
{
    (void)state;
    for (uint32_t told = 0; told <= NOTICE_STUCK; told += NOTICE_STUCK) {
        struct job_state s = deleting(MODEL_NONE, OUTCOME_NONE);
        s.due = NOTICE_STUCK;
        s.told = told;
        struct job_next n = step(s, (struct job_seen){.group = NO}, T0 + 4000);
        assert_int_equal(n.act & ACT_TELL, 0);
        assert_int_equal(n.state.machine, MACHINE_QUEUED);
        n.state.machine = MACHINE_DELETING;
        n = step(n.state, (struct job_seen){.group = YES, .locked = YES}, T0 + 5000);
        assert_int_equal(n.act & ACT_TELL, ACT_TELL);
    }
}

static void test_one_drive_tells_at_a_time(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_FAILED);
    s.due = NOTICE_RESULT;
    struct job_next n = step(s, (struct job_seen){.group = YES}, T0 + 1);
    assert_true(n.act & ACT_TELL);
    assert_false(step(n.state, (struct job_seen){.group = YES}, T0 + 2).act & ACT_TELL);
    assert_true(step(n.state, (struct job_seen){.group = YES}, T0 + 1 + TELL_AGAIN_S).act & ACT_TELL);
}

static void test_slot_is_freed_when_the_machine_is_gone_not_before(void **state)
{
    (void)state;
    assert_false(step(deleting(MODEL_NONE, OUTCOME_FAILED), (struct job_seen){.group = YES}, T0 + 1).act & ACT_FREE_SLOT);
    assert_false(step(deleting(MODEL_NONE, OUTCOME_FAILED), (struct job_seen){0}, T0 + 1).act & ACT_FREE_SLOT);
    assert_true(step(deleting(MODEL_NONE, OUTCOME_FAILED), (struct job_seen){.group = NO}, T0 + 1).act & ACT_FREE_SLOT);
    assert_true(step(deleting(MODEL_OFFERED, OUTCOME_NONE), (struct job_seen){.group = NO}, T0 + 1).act &
                ACT_FREE_SLOT); /* the model goes on without it */
}

static void test_outcome_is_set_once(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_OFFERED, OUTCOME_NONE);
    s.outcome = OUTCOME_TIMED_OUT;
    s.reason = REASON_DEADLINE;
    struct job_next n = step(s, (struct job_seen){.model = MODEL_BROKEN}, T0 + 1);
    assert_int_equal(n.state.outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(n.state.reason, REASON_DEADLINE);
}

static void test_born_rejected_is_told_and_closed(void **state)
{
    (void)state;
    struct job_state s = job_rejected(T0);
    struct job_next n = step(s, (struct job_seen){0}, T0);
    assert_int_equal(n.look, 0);
    assert_int_equal(n.act, ACT_FREE_SLOT | ACT_TELL);
    n = step(s, (struct job_seen){.slot = NO, .told = NOTICE_RESULT | NOTICE_RESULT_FILE}, T0);
    assert_int_equal(n.state.machine, MACHINE_CLOSED);
}

static void test_closed_stays_closed(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_FAILED);
    s.machine = MACHINE_CLOSED;
    struct job_next n =
        step(s, (struct job_seen){.zip = YES, .slot = YES, .manifest = YES, .group = YES, .remedy = REMEDY_NO}, T0 + 1000000);
    assert_memory_equal(&n.state, &s, sizeof s);
    assert_int_equal(n.act, ACT_FREE_LINE | ACT_FREE_SLOT | ACT_FORGET); /* a drive that was late may have taken them */
}

/* Whatever is seen, in any order: the promises that a single step can break. */
static void test_random_walks(void **state)
{
    (void)state;
    uint32_t seed = 20260101;
    for (int walk = 0; walk < 20000; walk++) {
        struct job_state s = job_accepted(T0);
        int64_t now = T0;
        for (int i = 0; i < 60 && s.machine != MACHINE_CLOSED; i++) {
            struct job_seen seen = {0};
            uint32_t r[8];
            for (size_t k = 0; k < COUNT(r); k++)
                r[k] = seed = seed * 1664525u + 1013904223u;
            seen.zip = (r[0] >> 10) % 3;
            seen.slot = (r[0] >> 12) % 3;
            seen.line = (r[0] >> 16) % 3;
            seen.group = (r[1] >> 10) % 3;
            seen.deployment = (r[1] >> 13) % 3;
            seen.vm = (r[1] >> 16) % 3;
            seen.claim = (r[2] >> 10) % 3;
            seen.manifest = (r[2] >> 13) % 3;
            seen.reported = (r[2] >> 16) % 3;
            seen.report = OUTCOME_SUCCEEDED + (r[3] >> 10) % 3;
            seen.remedy = (r[3] >> 14) % 17 == 0 ? REMEDY_WAIT + (r[3] >> 20) % 7 : REMEDY_NONE;
            seen.ready = (r[5] >> 15) % 3;
            seen.status = (r[5] >> 18) % 3;
            seen.order = (r[5] >> 21) % 40 == 0 ? ORDER_CANCEL : ORDER_NONE;
            seen.model = (r[4] >> 10) % 7;
            seen.version = 1 + (r[4] >> 16) % 9;
            seen.told = r[5] >> 10 & 15;
            seen.until_s = now + 120;
            struct job_next n = job_step(&TERMS, &s, &seen, now);
            if (s.outcome != OUTCOME_NONE) {
                assert_int_equal(n.state.outcome, s.outcome);
                assert_int_equal(n.state.reason, s.reason);
                assert_int_equal(n.act & ACT_CREATE, 0);
            }
            if (n.state.machine == MACHINE_CLOSED) {
                assert_int_not_equal(n.state.outcome, OUTCOME_NONE);
                assert_int_equal(job_untold(&n.state), 0);
                assert_int_equal(seen.slot, NO);
                assert_true(n.state.attempt == 0 || seen.group == NO);
            }
            assert_true((n.act & ACT_CREATE) == 0 || (n.state.machine == MACHINE_PROVISIONING && n.state.attempt >= s.attempt));
            assert_true(n.state.attempt == s.attempt || (s.machine == MACHINE_QUEUED && n.state.attempt == s.attempt + 1));
            assert_true(n.state.machine >= s.machine || (s.machine == MACHINE_DELETING && n.state.machine == MACHINE_QUEUED));
            assert_true((n.act & ACT_COPY) == 0 || n.state.version > 0);
            s = n.state;
            now += 1 + (r[6] >> 8) % 400;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queued_waits_for_zip_then_slot),
        cmocka_unit_test(test_reserve_is_at_least_ten_minutes),
        cmocka_unit_test(test_zip_missing_rejects_only_when_storage_says_so),
        cmocka_unit_test(test_a_zip_replaced_while_the_job_waits_gets_its_wait_again),
        cmocka_unit_test(test_404_before_create_until_proves_nothing),
        cmocka_unit_test(test_creation_is_given_up_after_its_wait),
        cmocka_unit_test(test_a_deletion_that_has_ended_is_not_stuck),
        cmocka_unit_test(test_deployment_seen_makes_a_404_proof),
        cmocka_unit_test(test_what_was_there_is_never_ordered_again),
        cmocka_unit_test(test_final_refusal_fails_at_once),
        cmocka_unit_test(test_claim_means_running_and_is_told),
        cmocka_unit_test(test_manifest_outranks_report),
        cmocka_unit_test(test_report_without_manifest_is_failure),
        cmocka_unit_test(test_running_ends_only_with_proof),
        cmocka_unit_test(test_a_look_before_a_limit_proves_nothing_after_it),
        cmocka_unit_test(test_a_model_that_comes_while_the_attempt_is_deleted_is_taken),
        cmocka_unit_test(test_model_goes_step_by_step),
        cmocka_unit_test(test_copying_is_ordered_only_with_a_line),
        cmocka_unit_test(test_broken_and_kept),
        cmocka_unit_test(test_released),
        cmocka_unit_test(test_c1_05_deleted_is_believed_at_404_only),
        cmocka_unit_test(test_one_404_of_a_lagging_read_closes_nothing),
        cmocka_unit_test(test_the_deadline_holds_when_storage_does_not_say),
        cmocka_unit_test(test_untold_holds_the_job_for_a_day),
        cmocka_unit_test(test_c1_05_a_deletion_that_takes_half_an_hour_is_told),
        cmocka_unit_test(test_one_drive_tells_at_a_time),
        cmocka_unit_test(test_slot_is_freed_when_the_machine_is_gone_not_before),
        cmocka_unit_test(test_outcome_is_set_once),
        cmocka_unit_test(test_born_rejected_is_told_and_closed),
        cmocka_unit_test(test_closed_stays_closed),
        cmocka_unit_test(test_random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
