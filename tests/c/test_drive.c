/* The loop over a world that is kept in memory: order of load, look, step, save, act; conflicts; what a stop in between leaves. */
#include "test.h"

#include "controller/drive.h"

struct world {
    struct record saved;   /* what storage holds */
    struct job_state made; /* what its first save held */
    int64_t now_s;
    char order[4096]; /* what happened, in order */
    int conflicts;    /* saves that still meet somebody else's */
    int saves_before; /* that go well, before those */
    int fail_load;
    int paused, tells;
    int tells_max;          /* as many come through; 0: all */
    struct job_seen shows;  /* what looks bring */
    struct job_seen brings; /* what acts bring, by action */
    uint32_t acts;          /* every action that was carried out */
};

static void note(struct world *w, const char *what, uint32_t bits)
{
    size_t n = strlen(w->order);
    snprintf(w->order + n, sizeof w->order - n, "%s%s%x", n > 0 ? " " : "", what, bits);
}

static int64_t now_s(void *ctx)
{
    return ((struct world *)ctx)->now_s;
}

static void no_pause(void *ctx, int conflicts)
{
    ((struct world *)ctx)->paused += conflicts;
}

static enum err_code load(void *ctx, const char *job_id, struct record *rec, struct err *err)
{
    struct world *w = ctx;
    if (w->fail_load > 0 && w->fail_load-- > 0)
        return err_set(err, ERR_UNREACHABLE, "storage does not answer");
    if (!str_is(job_id, w->saved.job_id))
        return err_set(err, ERR_ABSENT, "no such job");
    *rec = w->saved;
    return OK;
}

static enum err_code save(void *ctx, struct record *rec, struct err *err)
{
    struct world *w = ctx;
    if (w->conflicts > 0 && w->saves_before == 0) {
        w->conflicts--;
        note(w, "conflict", 0);
        return err_set(err, ERR_CONFLICT, "somebody else was first");
    }
    if (w->saves_before > 0)
        w->saves_before--;
    bool made = rec->etag[0] == '\0';
    if (made)
        w->made = rec->state;
    str_copy(rec->etag, sizeof rec->etag, "e");
    w->saved = *rec;
    note(w, made ? "make" : "save", rec->state.machine);
    return OK;
}

static void look(void *ctx, struct record *rec, uint32_t bits, struct job_seen *seen)
{
    struct world *w = ctx;
    (void)rec;
    int64_t until_s = seen->until_s, at_s = seen->at_s;
    *seen = w->shows;
    seen->until_s = until_s;
    seen->at_s = at_s;
    note(w, "look", bits);
}

static void act(void *ctx, struct record *rec, uint32_t bits, struct job_seen *seen)
{
    struct world *w = ctx;
    (void)rec;
    w->acts |= bits;
    note(w, "act", bits);
    if (bits & ACT_TAKE_SLOT)
        seen->slot = w->brings.slot;
    if (bits & ACT_CREATE) {
        seen->deployment = w->brings.deployment;
        seen->remedy = w->brings.remedy;
    }
    if (bits & (ACT_VERIFY | ACT_COPY | ACT_POINT))
        seen->model = bits & ACT_POINT ? MODEL_CURRENT : bits & ACT_COPY ? MODEL_COPIED : MODEL_VERIFIED;
    if (bits & ACT_TAKE_LINE) {
        seen->line = YES;
        seen->version = 4;
    }
    if (bits & ACT_FREE_LINE)
        seen->line = NO;
    if (bits & ACT_FREE_SLOT)
        seen->slot = NO;
    if (bits & ACT_TELL && (w->tells_max == 0 || w->tells < w->tells_max)) {
        seen->told |= job_untold(&rec->state);
        w->tells++;
    }
}

static struct world fresh(struct job_state s)
{
    struct world w = {.now_s = 1000};
    str_copy(w.saved.job_id, sizeof w.saved.job_id, "j1");
    str_copy(w.saved.etag, sizeof w.saved.etag, "e");
    w.saved.state = s;
    w.saved.terms = (struct job_terms){.upload_wait_s = 300,
                                       .create_wait_s = 3600,
                                       .silence_s = 900,
                                       .run_s = 3600,
                                       .run_max_s = 7200,
                                       .publish_wait_s = 1800,
                                       .tell_wait_s = 86400};
    return w;
}

static enum err_code go(struct world *w, const char *job_id)
{
    struct err err = {0};
    struct job_world world = {
        .ctx = w, .now_s = now_s, .pause = no_pause, .until_s = w->now_s + 120, .load = load, .save = save, .look = look, .act = act};
    return drive(&world, job_id, &err);
}

static void test_a_job_goes_from_message_to_deployment_in_one_drive(void **state)
{
    (void)state;
    struct world w = fresh(job_accepted(1000));
    w.shows.zip = YES;
    w.brings = (struct job_seen){.slot = YES, .deployment = YES};
    assert_int_equal(go(&w, "j1"), OK);
    /* look zip; save, take slot; save the order, create; save, tell; keep what telling brought */
    assert_string_equal(w.order, "look1 save0 act1 save1 act2 save1 act1000 save1");
    assert_int_equal(w.saved.state.machine, MACHINE_PROVISIONING);
    assert_int_equal(w.saved.state.create_until_s, 0);
    assert_int_equal(job_untold(&w.saved.state), 0);
    assert_int_equal(w.saved.next_look_s, 1000 + LOOK_AGAIN_S);
}

static enum err_code go_new(struct world *w, struct record *rec)
{
    struct err err = {0};
    struct job_world world = {
        .ctx = w, .now_s = now_s, .pause = no_pause, .until_s = w->now_s + 120, .load = load, .save = save, .look = look, .act = act};
    *rec = w->saved;
    rec->etag[0] = '\0';
    return drive_new(&world, rec, &err);
}

static void test_a_new_job_is_made_with_its_machine_ordered(void **state)
{
    (void)state;
    struct world w = fresh(job_accepted(1000));
    struct record rec;
    w.shows.zip = YES;
    w.brings = (struct job_seen){.slot = YES};
    w.fail_load = 1;
    assert_int_equal(go_new(&w, &rec), OK);
    assert_string_equal(w.order, "look1 act1 make1 act2 save1 act1000 save1");
    assert_int_equal(w.made.machine, MACHINE_PROVISIONING);
    assert_int_equal(w.made.create_until_s, 1120);
    assert_int_equal(w.fail_load, 1);
}

/* Whatever the looks bring: it is saved, and nothing but taking a slot came before. */
static void test_a_new_job_that_cannot_have_its_machine_yet_is_saved_all_the_same(void **state)
{
    (void)state;
    static const struct {
        enum seen zip, slot;
        const char *order;
    } cases[] = {
        {UNSEEN, UNSEEN, "look1 make0 act1000 save0"},
        {NO, UNSEEN, "look1 make0 act1000 save0"},
        {YES, UNSEEN, "look1 act1 make0"},
        {YES, NO, "look1 act1 make0 act1000 save0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world w = fresh(job_accepted(1000));
        struct record rec;
        w.shows.zip = cases[i].zip;
        w.brings = (struct job_seen){.slot = cases[i].slot};
        assert_int_equal(go_new(&w, &rec), OK);
        assert_string_equal(w.order, cases[i].order);
        assert_int_equal(w.saved.state.machine, MACHINE_QUEUED);
        assert_string_not_equal(rec.etag, "");
    }
}

static void test_a_new_job_that_is_there_already_is_left_to_who_made_it(void **state)
{
    (void)state;
    struct world w = fresh(job_accepted(1000));
    struct record rec;
    w.shows.zip = YES;
    w.brings.slot = YES;
    w.conflicts = 1;
    assert_int_equal(go_new(&w, &rec), ERR_CONFLICT);
    assert_string_equal(w.order, "look1 act1 conflict0");
    assert_string_equal(rec.etag, "");
    assert_int_equal(w.acts, ACT_TAKE_SLOT);
}

static void test_a_new_job_that_another_moves_on_is_loaded_again(void **state)
{
    (void)state;
    struct world w = fresh(job_accepted(1000));
    struct record rec;
    w.shows.zip = YES;
    w.brings = (struct job_seen){.slot = YES};
    w.conflicts = 1;
    w.saves_before = 1;
    assert_int_equal(go_new(&w, &rec), OK);
    assert_string_equal(w.order, "look1 act1 make1 act2 conflict0 look5c save1 act1000 save1");
}

static void test_nothing_is_done_that_no_save_has_ordered(void **state)
{
    (void)state;
    struct world w = fresh(job_accepted(1000));
    w.shows.zip = YES;
    w.brings.slot = YES;
    w.conflicts = 100;
    assert_int_equal(go(&w, "j1"), ERR_CONFLICT);
    assert_int_equal(w.acts, 0);
}

static void test_who_loses_loads_again(void **state)
{
    (void)state;
    struct world w = fresh(job_accepted(1000));
    w.shows.zip = NO;
    w.conflicts = 2;
    assert_int_equal(go(&w, "j1"), OK);
    assert_string_equal(w.order, "look1 conflict0 look1 conflict0 look1 save0 act1000 save0");
    assert_int_equal(w.paused, 1 + 2);
}

static void test_a_finished_job_is_published_and_told_in_one_drive(void **state)
{
    (void)state;
    struct job_state s = {.machine = MACHINE_RUNNING, .attempt = 1, .accepted_s = 500, .started_s = 500, .deadline_s = 9000};
    struct world w = fresh(s);
    w.shows = (struct job_seen){.manifest = YES, .reported = YES, .report = OUTCOME_SUCCEEDED, .vm = YES};
    assert_int_equal(go(&w, "j1"), OK);
    assert_int_equal(w.saved.state.outcome, OUTCOME_SUCCEEDED);
    assert_int_equal(w.saved.state.version, 4);
    assert_int_equal(job_untold(&w.saved.state), 0);
    assert_int_equal(w.saved.state.machine, MACHINE_DELETING); /* the group has not been seen gone */
    assert_false(w.acts & ACT_FREE_SLOT);
    w.order[0] = '\0';
    w.now_s += 60;
    w.shows = (struct job_seen){.group = NO};
    assert_int_equal(go(&w, "j1"), OK);
    assert_int_equal(w.saved.state.machine, MACHINE_DELETING); /* one 404 may be a read that lags */
    w.now_s += 60;
    assert_int_equal(go(&w, "j1"), OK);
    assert_int_equal(w.saved.state.machine, MACHINE_CLOSED);
    assert_true(w.acts & ACT_FORGET);
}

/* An attempt that was given up, and whose group is gone. */
static struct world between_attempts(void)
{
    struct job_state s = {.machine = MACHINE_DELETING, .ended = REASON_BOOT, .attempt = 1, .accepted_s = 500, .gone_since_s = 900};
    struct world w = fresh(s);

    w.shows = (struct job_seen){.group = NO, .manifest = NO, .reported = NO};
    w.brings = (struct job_seen){.slot = YES, .deployment = YES};
    return w;
}

/* Its report came late: it says nothing of the attempt that begins in the same drive. */
static void test_what_was_seen_of_one_attempt_says_nothing_of_the_next(void **state)
{
    (void)state;
    struct world w = between_attempts();
    w.shows.reported = YES;
    w.shows.report = OUTCOME_SUCCEEDED;
    assert_int_equal(go(&w, "j1"), OK);
    assert_int_equal(w.saved.state.machine, MACHINE_PROVISIONING);
    assert_int_equal(w.saved.state.attempt, 2);
    assert_int_equal(w.saved.state.outcome, OUTCOME_NONE);
}

/* What is told of one attempt does not silence what is due for the next, which Azure refuses at once. */
static void test_the_same_notice_is_told_of_two_attempts_in_one_drive(void **state)
{
    (void)state;
    struct world w = between_attempts();
    w.saved.state.due = NOTICE_AGAIN;
    w.saved.terms.capacity_wait_s = 3600;
    w.brings.deployment = UNSEEN;
    w.brings.remedy = REMEDY_SIZE;
    assert_int_equal(go(&w, "j1"), OK);
    assert_int_equal(w.saved.state.attempt, 2);
    assert_int_equal(w.saved.state.ended, REASON_CAPACITY);
    assert_int_equal(job_untold(&w.saved.state), 0);
    assert_int_equal(w.tells, 2);
}

static void test_a_notice_that_does_not_come_through_again_stays_due(void **state)
{
    (void)state;
    struct world w = between_attempts();
    w.saved.state.due = NOTICE_AGAIN;
    w.saved.terms.capacity_wait_s = 3600;
    w.brings.deployment = UNSEEN;
    w.brings.remedy = REMEDY_SIZE;
    w.tells_max = 1;
    assert_int_equal(go(&w, "j1"), OK);
    assert_int_equal(job_untold(&w.saved.state), NOTICE_AGAIN);
}

static void test_looking_alone_moves_the_next_look(void **state)
{
    (void)state;
    struct job_state s = {.machine = MACHINE_RUNNING, .attempt = 1, .accepted_s = 500, .started_s = 500, .deadline_s = 9000};
    struct world w = fresh(s);
    w.shows = (struct job_seen){.manifest = NO, .reported = NO, .vm = YES};
    assert_int_equal(go(&w, "j1"), OK);
    assert_string_equal(w.order, "look70 save2");
    assert_int_equal(w.saved.next_look_s, 1060);
}

static void test_unknown_job_and_deaf_storage(void **state)
{
    (void)state;
    struct world w = fresh(job_accepted(1000));
    assert_int_equal(go(&w, "j2"), ERR_ABSENT);
    w.fail_load = 1;
    assert_int_equal(go(&w, "j1"), ERR_UNREACHABLE);
    assert_string_equal(w.order, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_goes_from_message_to_deployment_in_one_drive),
        cmocka_unit_test(test_a_new_job_is_made_with_its_machine_ordered),
        cmocka_unit_test(test_a_new_job_that_cannot_have_its_machine_yet_is_saved_all_the_same),
        cmocka_unit_test(test_a_new_job_that_is_there_already_is_left_to_who_made_it),
        cmocka_unit_test(test_a_new_job_that_another_moves_on_is_loaded_again),
        cmocka_unit_test(test_nothing_is_done_that_no_save_has_ordered),
        cmocka_unit_test(test_who_loses_loads_again),
        cmocka_unit_test(test_a_finished_job_is_published_and_told_in_one_drive),
        cmocka_unit_test(test_what_was_seen_of_one_attempt_says_nothing_of_the_next),
        cmocka_unit_test(test_the_same_notice_is_told_of_two_attempts_in_one_drive),
        cmocka_unit_test(test_a_notice_that_does_not_come_through_again_stays_due),
        cmocka_unit_test(test_looking_alone_moves_the_next_look),
        cmocka_unit_test(test_unknown_job_and_deaf_storage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
