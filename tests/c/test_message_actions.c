/* Messages of js-queue-items beyond what is trained: where it runs, the same again, and what is asked of a job that is there. */
#include "test.h"

#include "job/message.h"
#include "job/rules.h"
#include "message_cases.h"

static void test_where(void **state)
{
    (void)state;
    struct message m;
    read_text(
        "{\"v\":1,\"dataset\":\"a.zip\",\"vm_sizes\":[\"standard_d8s_V5\",\" Standard_D8s_v4\"],\"regions\":[\"japanwest\",\"japaneast\"],"
        "\"spot\":\"only\",\"force\":true,\"publish\":\"always\"}",
        &m);
    assert_int_equal(m.faults, 0);
    assert_int_equal(m.request.vm_sizes.count, 2);
    assert_string_equal(m.request.vm_sizes.name[0], "Standard_D8s_v5");
    assert_string_equal(m.request.vm_sizes.name[1], "Standard_D8s_v4");
    assert_int_equal(m.request.regions.count, 2);
    assert_string_equal(m.request.regions.name[0], "japanwest");
    assert_int_equal(m.request.spot, SPOT_ONLY);
    assert_true(m.request.force);
    AUTO_STR line = STR_MAX(4096);
    message_line(&m.request, &defaults, &line);
    struct message again;
    read_text(str_c(&line), &again);
    assert_int_equal(again.faults, 0);
    assert_true(request_same(&m.request, &again.request));
    assert_true(again.request.force);
    assert_int_equal(again.request.publish, PUBLISH_ALWAYS);
    message_done(&again);
    message_done(&m);
    read_text("a.zip", &m); /* what the settings say */
    assert_int_equal(m.request.vm_sizes.count, 3);
    assert_string_equal(m.request.vm_sizes.name[2], "Standard_NC4as_T4_v3");
    assert_int_equal(m.request.regions.count, 1);
    assert_string_equal(places_first(&m.request.regions), "japaneast");
    assert_int_equal(m.request.spot, SPOT_NEVER);
    assert_false(m.request.force);
    assert_int_equal(m.request.publish, PUBLISH_IF_BETTER);
    message_done(&m);
    read_text("a.zip::Standard_D8s_v4", &m); /* the one that is named, and no other */
    assert_int_equal(m.request.vm_sizes.count, 1);
    message_done(&m);
}

static void test_job_actions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum message_action action;
        int minutes;
    } rows[] = {
        {"{\"v\":1,\"action\":\"cancel\",\"job_id\":\"J.1\"}", ACTION_CANCEL, 0},
        {"{\"job_id\":\"J.1\",\"action\":\"extend\",\"max_hours\":1.7}", ACTION_EXTEND, 102},
        {"{\"v\":1,\"action\":\"retry\",\"job_id\":\" J.1 \"}", ACTION_RETRY, 0},
        {"{\"v\":1,\"action\":\"publish\",\"job_id\":\"J.1\"}", ACTION_PUBLISH, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct message m;
        read_text(rows[i].text, &m);
        assert_int_equal(m.faults, 0);
        assert_int_equal(m.action, rows[i].action);
        assert_string_equal(m.target_job_id, "j.1");
        assert_int_equal(m.extend_minutes, rows[i].minutes);
        message_fault(&m, "E10", "job_id", "there is no job `%s`", "J.1");
        assert_string_equal(m.corrected, "{\"v\":1,\"action\":\"status\"}");
        check_always(rows[i].text, &m);
        message_done(&m);
    }
}

static void test_status(void **state)
{
    (void)state;
    struct message m;
    read_text("{\"v\":1,\"action\":\"status\"}", &m);
    assert_int_equal(m.faults, 0);
    assert_int_equal(m.action, ACTION_STATUS);
    assert_string_equal(m.target_job_id, "");
    message_done(&m);
    read_text("{\"v\":1,\"action\":\"status\",\"job_id\":\"J.1\"}", &m);
    assert_int_equal(m.faults, 0);
    assert_string_equal(m.target_job_id, "j.1");
    message_done(&m);
}

static void test_rollback(void **state)
{
    (void)state;
    char id[JOB_ID_MAX], other[JOB_ID_MAX];
    struct message m;
    read_text("{\"v\":1,\"action\":\"rollback\"}", &m);
    assert_int_equal(m.faults, 0);
    assert_int_equal(m.action, ACTION_ROLLBACK);
    assert_string_equal(m.request.line, "default");
    assert_int_equal(m.version, 0);
    message_done(&m);
    read_text("{\"v\":1,\"action\":\"rollback\",\"line\":\"Screws\",\"version\":7}", &m);
    assert_int_equal(m.faults, 0);
    assert_string_equal(m.request.line, "screws");
    assert_int_equal(m.version, 7);
    message_done(&m);
    message_release_job_id(ACTION_ROLLBACK, ID, id);
    assert_string_equal(id, "rollback-853b0581");
    message_release_job_id(ACTION_PUBLISH, "another", other);
    assert_string_not_equal(id, other);
    assert_true(rules_job_id(other));
}

static void test_same_again(void **state)
{
    (void)state;
    struct message m;
    read_text("a.zip:J1", &m);
    message_fault_again(&m, "J0", 1767225600);
    assert_int_equal(m.faults, 1);
    assert_string_equal(m.fault[0].code, "E11");
    assert_string_equal(m.fault[0].text, "the same data again: job `J0` succeeded on 2026-01-01T00:00:00Z with the same zip and the same "
                                         "request; send `force` to run it again");
    assert_string_equal(m.corrected, "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"job_id\":\"J1\",\"force\":true}");
    check_always("again", &m);
    message_done(&m);
}

#define EVERYTHING                                                                                                                         \
    "{\"v\":1,\"zip\":\"a.zip\",\"dataset_sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"job_id\":\"Job." \
    "1\","                                                                                                                                 \
    "\"vm_sizes\":[\"Standard_D8s_v5\",\"Standard_D8s_v4\"],\"regions\":[\"japanwest\"],\"spot\":\"prefer\",\"max_hours\":10.3,"           \
    "\"classes\":[\"ok\",\"a:b\"],\"epochs\":500,\"task\":\"classification\",\"model\":4,\"continue_from\":\"auto\",\"line\":\"screws\","  \
    "\"split\":{\"train\":0.8123,\"seed\":7,\"group\":\"none\"},\"requested_by\":\"yamada\",\"note\":\"x\",\"force\":true}"

static void retry_as(struct message *m, const struct message_defaults *now, const struct request *r)
{
    struct err err = {0};
    const char *text = "{\"v\":1,\"action\":\"retry\",\"job_id\":\"JOB.1\"}";
    assert_int_equal(message_read(text, strlen(text), ID, now, m, &err), OK);
    assert_int_equal(message_from_request(m, r, "Job.1-r853b05", ID, &err), OK);
    assert_int_equal(m->action, ACTION_TRAIN);
    assert_string_equal(m->shown, text); /* what was sent */
}

static void test_retry(void **state)
{
    (void)state;
    char id[JOB_ID_MAX], other[JOB_ID_MAX];
    message_retry_job_id("Job.1", ID, id);
    assert_string_equal(id, "Job.1-r853b05");
    message_retry_job_id("Job.1", "another", other);
    assert_string_not_equal(id, other);
    message_retry_job_id("0123456789012345678901234567890123456789012345678901234567890123", ID, id);
    assert_string_equal(id, "01234567890123456789012345678901234567890123456789012345-r853b05");
    assert_true(rules_job_id(id));

    struct message first, m;
    read_text(EVERYTHING, &first);
    assert_int_equal(first.faults, 0);
    retry_as(&m, &defaults, &first.request);
    assert_int_equal(m.faults, 0);
    assert_true(request_same(&m.request, &first.request));
    assert_string_equal(m.request.job_id, "job.1-r853b05");
    assert_string_equal(m.request.job_name, "Job.1-r853b05");
    assert_string_equal(m.corrected_job_id, "Job.1-r853b05");
    assert_string_equal(m.default_job_id, default_id);
    assert_string_equal(m.request.requested_by, "yamada");
    assert_true(m.request.force);
    message_done(&m);

    struct message_defaults now = defaults; /* other settings since */
    now.vm_sizes = "Standard_D8s_v4";
    now.max_job_minutes = now.max_minutes = 480;
    now.epochs_max = 100;
    retry_as(&m, &now, &first.request);
    static const char *const code[] = {"E05", "E18", "E07"};
    assert_int_equal(m.faults, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(m.fault[i].code, code[i]);
    assert_non_null(strstr(m.corrected, "\"classes\":[\"ok\",\"a:b\"]"));
    assert_string_equal(m.request.job_id, default_id);
    message_done(&m);
    message_done(&first);

    read_text("a.zip:job.1", &first); /* its classes were read from the zip, and will be again */
    now = defaults;
    now.classes = "ok,ng";
    now.regions = "japanwest";
    retry_as(&m, &now, &first.request);
    assert_int_equal(m.faults, 0);
    assert_true(request_same(&m.request, &first.request));
    message_done(&m);
    message_done(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),    cmocka_unit_test(test_job_actions), cmocka_unit_test(test_status),
        cmocka_unit_test(test_rollback), cmocka_unit_test(test_same_again),  cmocka_unit_test(test_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
