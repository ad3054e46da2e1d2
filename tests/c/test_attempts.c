/* Attempts that end without an outcome: refused, not come up, evicted; and what people ask for meanwhile. */
#include "test.h"

#include "step_states.h"

static struct job_next refuse(struct job_state s, enum job_remedy remedy, int64_t now_s)
{
    s.machine = MACHINE_PROVISIONING;
    s.ordered_s = now_s - 1;
    s.create_until_s = now_s + 100;
    return step(s, (struct job_seen){.remedy = remedy}, now_s);
}

/* As though its group had answered 404 twice, and the slot were still there. */
static struct job_next next_attempt(struct job_state s, int64_t now_s)
{
    s.create_until_s = 0;
    s.gone_since_s = now_s - GONE_AGAIN_S;
    return step(s, (struct job_seen){.group = NO}, now_s);
}

static void test_c1_13_a_refused_size_goes_to_the_next_place_and_the_run_starts_anew(void **state)
{
    (void)state;
    static const struct {
        enum job_remedy remedy;
        int32_t size, region;
    } rows[] = {{REMEDY_SIZE, 1, 0}, {REMEDY_SIZE, 0, 1}, {REMEDY_SIZE, 1, 1}};
    struct job_next n = {.state = provisioning(T0 + 120)};
    int64_t now = T0 + 10;
    for (size_t i = 0; i < COUNT(rows); i++) {
        n = refuse(n.state, rows[i].remedy, now);
        assert_int_equal(n.state.outcome, OUTCOME_NONE);
        assert_int_equal(n.state.machine, MACHINE_DELETING);
        assert_int_equal(n.act & (ACT_FENCE | ACT_DELETE | ACT_FREE_SLOT), ACT_FENCE | ACT_DELETE);
        assert_int_equal(n.state.size, rows[i].size);
        assert_int_equal(n.state.region, rows[i].region);
        assert_false(n.state.due & NOTICE_AGAIN); /* one place more is no news */
        n = next_attempt(n.state, now + 200);
        assert_int_equal(n.state.machine, MACHINE_QUEUED);
        n = step(n.state, (struct job_seen){.slot = YES, .until_s = now + 320}, now + 200);
        assert_int_equal(n.act & ACT_CREATE, ACT_CREATE);
        assert_int_equal(n.state.attempt, 2 + (int)i);
        assert_int_equal(n.state.started_s, now + 200);
        assert_int_equal(n.state.deadline_s, now + 200 + TERMS.run_s);
        now += 300;
    }
    n = refuse(n.state, REMEDY_SIZE, now); /* all four places have been tried */
    assert_true(n.state.due & NOTICE_AGAIN);
    assert_int_equal(n.state.not_before_s, now + CAPACITY_AGAIN_S);
    assert_int_equal(n.state.size + n.state.region, 0);
}

static void test_a_region_without_quota_skips_its_other_sizes(void **state)
{
    (void)state;
    struct job_next n = refuse(provisioning(0), REMEDY_REGION, T0);
    assert_int_equal(n.state.region, 1);
    assert_int_equal(n.state.size, 0);
}

static struct job_next step_spot(enum job_spot spot, struct job_state s, struct job_seen seen, int64_t now_s)
{
    struct job_terms terms = TERMS;
    terms.spot = spot;
    seen.at_s = now_s;
    return job_step(&terms, &s, &seen, now_s);
}

static void test_spot_that_is_refused_becomes_on_demand_if_it_may(void **state)
{
    (void)state;
    struct job_seen seen = {.remedy = REMEDY_ON_DEMAND};
    struct job_next n = step_spot(SPOT_PREFER, provisioning(T0), seen, T0);
    assert_int_equal(n.state.on_demand, 1);
    n = step_spot(SPOT_ONLY, provisioning(T0), seen, T0);
    assert_int_equal(n.state.on_demand, 0);
    assert_int_equal(n.state.region, 1);
    seen.remedy = REMEDY_NO_SPOT;
    assert_int_equal(step_spot(SPOT_ONLY, provisioning(T0), seen, T0).state.reason, REASON_REFUSED);
    assert_int_equal(step_spot(SPOT_PREFER, provisioning(T0), seen, T0).state.on_demand, 1);
    struct job_state last = provisioning(T0);
    last.size = last.region = 1;
    seen.remedy = REMEDY_SIZE;
    n = step_spot(SPOT_PREFER, last, seen, T0);
    assert_int_equal(n.state.on_demand, 1);
    assert_int_equal(n.state.size + n.state.region, 0);
}

static void test_who_waits_for_capacity_lets_others_have_the_slot(void **state)
{
    (void)state;
    struct job_state s = provisioning(T0);
    s.size = s.region = 1;
    struct job_next n = refuse(s, REMEDY_SIZE, T0);
    n = next_attempt(n.state, T0 + 100);
    assert_int_equal(n.state.machine, MACHINE_DELETING);
    assert_int_equal(n.act & ACT_FREE_SLOT, ACT_FREE_SLOT);
    n.state.gone_since_s = T0 + 60;
    n = step(n.state, (struct job_seen){.group = NO, .slot = NO}, T0 + 100);
    assert_int_equal(n.state.machine, MACHINE_QUEUED);
    assert_int_equal(step(n.state, (struct job_seen){0}, T0 + CAPACITY_AGAIN_S - 1).act & ACT_TAKE_SLOT, 0);
    assert_int_equal(step(n.state, (struct job_seen){0}, T0 + CAPACITY_AGAIN_S).act & ACT_TAKE_SLOT, ACT_TAKE_SLOT);
    assert_int_equal(step(n.state, (struct job_seen){0}, T0 + 5 * 3600).state.machine, MACHINE_QUEUED); /* C1-19: waiting is no death */
}

static void test_capacity_is_waited_for_with_an_end(void **state)
{
    (void)state;
    struct job_state s = provisioning(T0);
    s.size = s.region = 1;
    s.refused_s = T0 - TERMS.capacity_wait_s + 1;
    assert_int_equal(refuse(s, REMEDY_SIZE, T0).state.outcome, OUTCOME_NONE);
    assert_int_equal(refuse(s, REMEDY_SIZE, T0 + 1).state.reason, REASON_CAPACITY);
}

static void test_c1_15_a_machine_that_never_claims_is_tried_once_more(void **state)
{
    (void)state;
    struct job_state s = provisioning(0);
    s.ordered_s = T0;
    struct job_seen seen = {.deployment = YES, .ready = YES, .vm = YES, .claim = NO, .manifest = NO, .reported = NO};
    assert_int_equal(step(s, seen, T0 + 899).state.machine, MACHINE_PROVISIONING); /* C1-19: four minutes, or ten, are no death */
    struct job_next n = step(s, seen, T0 + 900);
    assert_int_equal(n.state.outcome, OUTCOME_NONE);
    assert_int_equal(n.state.ended, REASON_BOOT);
    assert_int_equal(n.act & (ACT_EVIDENCE | ACT_FENCE | ACT_DELETE), ACT_EVIDENCE | ACT_FENCE | ACT_DELETE);
    assert_true(n.state.due & NOTICE_AGAIN);
    s.boots = 1;
    assert_int_equal(step(s, seen, T0 + 900).state.reason, REASON_BOOT);
    seen.claim = UNSEEN; /* storage does not say: not for long */
    assert_int_equal(step(s, seen, T0 + 900).state.machine, MACHINE_PROVISIONING);
    assert_int_equal(step(s, seen, T0 + 900 + LATE_S).state.reason, REASON_BOOT);
}

static void test_c1_17_an_evicted_attempt_goes_on_within_one_budget(void **state)
{
    (void)state;
    struct job_state s = running();
    s.ran = 1;
    s.told = NOTICE_AGAIN;
    s.lost_since_s = T0 + 60; /* a first 404 was seen */
    struct job_seen seen = {.vm = NO, .manifest = NO, .reported = NO};
    struct job_next n = step_spot(SPOT_PREFER, s, seen, T0 + 3600);
    assert_int_equal(n.state.outcome, OUTCOME_NONE);
    assert_int_equal(n.state.evictions, 1);
    assert_true(job_untold(&n.state) & NOTICE_AGAIN); /* also when an earlier one was told */
    n = next_attempt(n.state, T0 + 3700);
    n = step_spot(SPOT_PREFER, n.state, (struct job_seen){.slot = YES, .until_s = T0 + 3820}, T0 + 3700);
    assert_int_equal(n.state.attempt, 2);
    assert_int_equal(n.state.deadline_s, T0 + TERMS.run_s);
    s.evictions = 3;
    assert_int_equal(step_spot(SPOT_PREFER, s, seen, T0 + 3600).state.on_demand, 1);
    assert_int_equal(step_spot(SPOT_ONLY, s, seen, T0 + 3600).state.reason, REASON_EVICTED);
    seen.manifest = UNSEEN; /* what it left counts first */
    assert_int_equal(step_spot(SPOT_PREFER, s, seen, T0 + 3600).state.machine, MACHINE_RUNNING);
    n.state.machine = MACHINE_QUEUED;
    n.state.train_until_s = T0 + 7000;
    assert_int_equal(step(n.state, (struct job_seen){0}, T0 + 7000).state.outcome, OUTCOME_TIMED_OUT);
}

static void test_a_spot_machine_that_was_made_and_is_gone_before_its_claim_was_evicted(void **state)
{
    (void)state;
    struct job_seen seen = {.deployment = YES, .vm = NO, .claim = NO, .manifest = NO, .reported = NO};
    assert_int_equal(step_spot(SPOT_PREFER, provisioning(0), seen, T0 + 60).state.machine, MACHINE_PROVISIONING); /* not made yet */
    seen.ready = YES;
    struct job_state s = step_spot(SPOT_PREFER, provisioning(0), seen, T0 + 60).state;
    assert_int_equal(s.machine, MACHINE_PROVISIONING); /* one 404 of a lagging read proves nothing */
    assert_int_equal(step_spot(SPOT_PREFER, s, seen, T0 + 90).state.ended, REASON_EVICTED);
    assert_int_equal(step(s, seen, T0 + 90).state.reason, REASON_GONE);
}

static void test_cancel_ends_what_has_no_model(void **state)
{
    (void)state;
    struct job_seen seen = {.order = ORDER_CANCEL};
    struct job_next n = step(job_accepted(T0), seen, T0 + 1);
    assert_int_equal(n.state.outcome, OUTCOME_CANCELLED);
    n = step(running(), seen, T0 + 1);
    assert_int_equal(n.state.outcome, OUTCOME_CANCELLED);
    assert_int_equal(n.act & (ACT_DELETE | ACT_EVIDENCE), ACT_DELETE);
    n = step(deleting(MODEL_NONE, OUTCOME_NONE), seen, T0 + 1);
    assert_int_equal(n.state.outcome, OUTCOME_CANCELLED);
    seen.manifest = YES;
    n = step(running(), seen, T0 + 1); /* done is done */
    assert_int_equal(n.state.model, MODEL_OFFERED);
    assert_int_equal(step(n.state, seen, T0 + 2).state.outcome, OUTCOME_NONE);
}

static void test_extend_moves_the_deadline_up_to_the_hard_stop(void **state)
{
    (void)state;
    struct job_state s = running();
    struct job_seen seen = {.order = ORDER_EXTEND, .extend_s = 10 * 3600};
    struct job_next n = step(s, seen, T0 + 1);
    assert_int_equal(n.state.deadline_s, T0 + 10 * 3600);
    assert_int_equal(n.state.train_until_s, T0 + 9 * 3600);
    assert_int_equal(n.act & ACT_CONTROL, ACT_CONTROL);
    seen.control = YES;
    n = step(n.state, seen, T0 + 2);
    assert_int_equal(n.act & ACT_CONTROL, 0);
    seen = (struct job_seen){.order = ORDER_EXTEND, .extend_s = 9 * 3600};
    assert_int_equal(step(n.state, seen, T0 + 3).state.deadline_s, T0 + 10 * 3600); /* never shorter */
    seen.extend_s = 100 * 3600;
    assert_int_equal(step(n.state, seen, T0 + 3).state.deadline_s, s.hard_stop_s);
    n = step(job_accepted(T0), (struct job_seen){.order = ORDER_EXTEND, .extend_s = 10 * 3600}, T0 + 1);
    n = step(n.state, (struct job_seen){.zip = YES, .slot = YES}, T0 + 5); /* asked for before it started */
    assert_int_equal(n.state.deadline_s, T0 + 5 + 10 * 3600);
}

static void test_c1_25_a_lock_is_told_at_once(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_FAILED);
    assert_false(step(s, (struct job_seen){.group = YES}, T0 + 1).state.due & NOTICE_STUCK);
    assert_true(step(s, (struct job_seen){.group = YES, .locked = YES}, T0 + 1).state.due & NOTICE_STUCK);
}

/* A release may be under way for as long as the drive that ordered it lasts. */
static void test_no_attempt_takes_the_slot_while_a_release_may_still_arrive(void **state)
{
    (void)state;
    struct job_state s = deleting(MODEL_NONE, OUTCOME_NONE);
    s.not_before_s = T0 + 10;
    struct job_next n = step(s, (struct job_seen){.group = NO, .until_s = T0 + 120}, T0);
    assert_int_equal(n.act & ACT_FREE_SLOT, ACT_FREE_SLOT);
    assert_int_equal(n.state.not_before_s, T0 + 120 + SETTLE_S);
    n = step(n.state, (struct job_seen){.group = NO, .slot = NO, .until_s = T0 + 120}, T0 + 1);
    assert_int_equal(n.state.machine, MACHINE_QUEUED);
    n = step(n.state, (struct job_seen){.slot = YES, .until_s = T0 + 180}, T0 + 60);
    assert_int_equal(n.act & (ACT_TAKE_SLOT | ACT_CREATE), 0);
}

static void test_a_look_from_before_the_limit_is_no_proof_after_it(void **state)
{
    (void)state;
    struct job_state s = provisioning(T0 + 120);
    struct job_seen seen = {.deployment = NO, .claim = NO, .manifest = NO, .reported = NO, .at_s = T0 + 170, .until_s = T0 + 290};
    struct job_next n = step(s, seen, T0 + 250); /* something was slow in between */
    assert_int_equal(n.act & ACT_CREATE, 0);
    seen.at_s = T0 + 250;
    n = step(s, seen, T0 + 250);
    assert_int_equal(n.act & ACT_CREATE, ACT_CREATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_attempt_takes_the_slot_while_a_release_may_still_arrive),
        cmocka_unit_test(test_a_look_from_before_the_limit_is_no_proof_after_it),
        cmocka_unit_test(test_c1_13_a_refused_size_goes_to_the_next_place_and_the_run_starts_anew),
        cmocka_unit_test(test_a_region_without_quota_skips_its_other_sizes),
        cmocka_unit_test(test_spot_that_is_refused_becomes_on_demand_if_it_may),
        cmocka_unit_test(test_who_waits_for_capacity_lets_others_have_the_slot),
        cmocka_unit_test(test_capacity_is_waited_for_with_an_end),
        cmocka_unit_test(test_c1_15_a_machine_that_never_claims_is_tried_once_more),
        cmocka_unit_test(test_c1_17_an_evicted_attempt_goes_on_within_one_budget),
        cmocka_unit_test(test_a_spot_machine_that_was_made_and_is_gone_before_its_claim_was_evicted),
        cmocka_unit_test(test_cancel_ends_what_has_no_model),
        cmocka_unit_test(test_extend_moves_the_deadline_up_to_the_hard_stop),
        cmocka_unit_test(test_c1_25_a_lock_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
