/* Requests: into the record and back, compared, copied. */
#include "test.h"

#include "job/request.h"

static void fill(struct request *r)
{
    *r = (struct request){.zip = "写真 (1).zip",
                          .dataset_sha256 = "ab",
                          .job_id = "j.1",
                          .job_name = "J.1",
                          .job_id_given = true,
                          .vm_sizes = {.name = {"Standard_D8s_v4", "Standard_D8s_v5"}, .count = 2},
                          .regions = {.name = {"japaneast"}, .count = 1},
                          .spot = SPOT_PREFER,
                          .force = true,
                          .epochs = 20,
                          .task = TASK_DETECTION,
                          .model_name = "yolox_tiny",
                          .continue_from = "auto",
                          .line = "screws",
                          .max_minutes = 90,
                          .split_train = 0.7,
                          .split_seed = 9007199254740991,
                          .split_video = true,
                          .publish = PUBLISH_NEVER,
                          .requested_by = "山田",
                          .note = "\"quoted\" \\ $5"};
    r->classes = calloc(2, sizeof *r->classes);
    assert_non_null(r->classes);
    r->classes_count = 2;
    str_copy(r->classes[0], CLASS_NAME_MAX, "ok");
    str_copy(r->classes[1], CLASS_NAME_MAX, "傷");
}

static void write_whole(struct str *to, const struct request *r)
{
    json_open(to, NULL, '{');
    request_write(to, "request", r);
    json_close(to, '}');
}

static enum err_code read_text(const char *text, struct request *r)
{
    AUTO_JSON root = NULL;
    assert_int_equal(json_parse(text, strlen(text), 8, &root, NULL), OK);
    struct err err = {0};
    enum err_code code = request_read(json_get(root, "request"), r, &err);
    assert_true(code == OK || err.msg[0]);
    return code;
}

static void test_round_trip(void **state)
{
    (void)state;
    AUTO_REQ a = {0};
    AUTO_REQ b = {0};
    fill(&a);
    AUTO_STR once = STR_MAX(65536);
    AUTO_STR twice = STR_MAX(65536);
    write_whole(&once, &a);
    assert_int_equal(read_text(str_c(&once), &b), OK);
    assert_true(request_same(&a, &b));
    write_whole(&twice, &b);
    assert_string_equal(str_c(&once), str_c(&twice));
    assert_string_equal(
        str_c(&once),
        "{\"request\":{\"zip\":\"写真 (1).zip\",\"dataset_sha256\":\"ab\",\"job_id\":\"j.1\",\"job_name\":\"J.1\",\"job_id_given\":true,"
        "\"vm_size\":\"Standard_D8s_v4\",\"vm_sizes\":[\"Standard_D8s_v4\",\"Standard_D8s_v5\"],\"regions\":[\"japaneast\"],"
        "\"spot\":\"prefer\",\"force\":true,\"classes\":[\"ok\",\"傷\"],\"epochs\":20,\"task\":\"detection\",\"model\":0,\"model_name\":"
        "\"yolox_tiny\",\"pretrained\":false,\"continue_from\":"
        "\"auto\","
        "\"line\":\"screws\",\"max_minutes\":90,\"split\":{\"train\":0.7,\"seed\":9007199254740991,\"group\":\"video\"},\"publish\":"
        "\"never\",\"requested_by\":"
        "\"山田\","
        "\"note\":\"\\\"quoted\\\" \\\\ $5\"}}");
}

static void test_rejected_is_saved_too(void **state)
{
    (void)state;
    AUTO_REQ a = {.job_id = "job-12345678", .job_name = "job-12345678", .task = TASK_DETECTION, .split_train = 0.7};
    AUTO_REQ b = {0};
    AUTO_STR text = STR_MAX(65536);
    write_whole(&text, &a);
    assert_int_equal(read_text(str_c(&text), &b), OK);
    assert_string_equal(b.zip, "");
}

/* A record of former times has one size, and nothing about regions, spot and force. */
static void test_one_size(void **state)
{
    (void)state;
    AUTO_REQ a = {0};
    AUTO_REQ b = {0};
    fill(&a);
    AUTO_STR whole = STR_MAX(65536);
    AUTO_STR former = STR_MAX(65536);
    write_whole(&whole, &a);
    const char *from = strstr(str_c(&whole), "\"vm_sizes\""), *to = strstr(str_c(&whole), "\"classes\"");
    assert_true(from && to);
    str_add_n(&former, str_c(&whole), (size_t)(from - str_c(&whole)));
    str_add(&former, to);
    assert_int_equal(read_text(str_c(&former), &b), OK);
    assert_int_equal(b.vm_sizes.count, 1);
    assert_string_equal(places_first(&b.vm_sizes), "Standard_D8s_v4");
    assert_int_equal(b.regions.count, 0);
    assert_int_equal(b.spot, SPOT_NEVER);
    assert_false(b.force);
}

static void test_places(void **state)
{
    (void)state;
    struct places p, q;
    places_split(&p, " a, b ,A,, c,d,e,f");
    assert_int_equal(p.count, PLACES_MAX);
    assert_string_equal(p.name[4], "e");
    places_split(&q, "b,a,c,d,e");
    assert_false(places_same(&p, &q)); /* the order counts */
    assert_false(places_add(&q, "x"));
    places_split(&q, "");
    assert_string_equal(places_first(&q), "");
    assert_false(places_add(&q, "0123456789012345678901234567890123456789012345678901234567890123456789"));
    assert_true(places_add(&q, "x"));
    assert_false(places_add(&q, "X"));
    char region[REGION_MAX];
    assert_true(region_plain("Japan East", region, sizeof region));
    assert_string_equal(region, "japaneast");
    assert_false(region_plain("japan/east", region, sizeof region));
    assert_false(region_plain(" ", region, sizeof region));
    assert_false(region_plain("01234567890123456789012345678901234567890", region, sizeof region));
}

/* Every member spoilt in turn. */
static void test_refuses(void **state)
{
    (void)state;
    static const char *const change[][2] = {
        {"\"zip\":\"", "\"zip\":5,\"x\":\""},
        {"\"job_id\":\"j.1\"", "\"job_id\":\"\""},
        {"\"job_id_given\":true", "\"job_id_given\":1"},
        {"\"detection\"", "\"dancing\""},
        {"\"epochs\":20", "\"epochs\":-1"},
        {"\"epochs\":20", "\"epochs\":2.5"},
        {"[\"ok\"", "[7"},
        {"\"video\"", "\"day\""},
        {"\"train\":0.7", "\"train\":1.5"},
        {"\"line\":\"screws\"", "\"line\":null"},
        {"\"seed\":", "\"sed\":"},
        {"\"note\":", "\"Note\":"},
        {"\"vm_sizes\":[", "\"vm_sizes\":[\"\","},
        {"\"Standard_D8s_v5\"", "\"standard_d8s_v4\""},
        {"\"regions\":[", "\"regions\":[\"a\",\"b\",\"c\",\"d\",\"e\","},
        {"\"regions\":[", "\"regions\":\"x\",\"x\":["},
        {"\"prefer\"", "\"perhaps\""},
        {"\"force\":true", "\"force\":1"},
        {"\"never\"", "\"sometimes\""},
        {"\"never\"", "7"},
        {"\"never\"", "\"\""},
        {"\"screws\"", "\"screws-screws-screws-screws-screws-screws\""},
    };
    AUTO_REQ a = {0};
    fill(&a);
    AUTO_STR whole = STR_MAX(65536);
    write_whole(&whole, &a);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        const char *at = strstr(str_c(&whole), change[i][0]);
        assert_non_null(at);
        AUTO_STR text = STR_MAX(65536);
        str_add_n(&text, str_c(&whole), (size_t)(at - str_c(&whole)));
        str_add(&text, change[i][1]);
        str_add(&text, at + strlen(change[i][0]));
        AUTO_REQ b = {0};
        if (read_text(str_c(&text), &b) != ERR_INPUT)
            fail_msg("%s is accepted", change[i][1]);
    }
    AUTO_REQ b = {0};
    assert_int_equal(request_read(NULL, &b, NULL), ERR_INPUT);
}

/* Each member changed in turn. */
static void test_same(void **state)
{
    (void)state;
#define MEMBER(name) offsetof(struct request, name)
    static const size_t who[] = {MEMBER(job_id), MEMBER(job_name), MEMBER(job_id_given), MEMBER(requested_by),
                                 MEMBER(note),   MEMBER(force),    MEMBER(publish)};
    static const size_t what[] = {MEMBER(zip),         MEMBER(dataset_sha256), MEMBER(vm_sizes),      MEMBER(vm_sizes.count),
                                  MEMBER(regions),     MEMBER(spot),           MEMBER(classes_count), MEMBER(epochs),
                                  MEMBER(task),        MEMBER(model),          MEMBER(continue_from), MEMBER(line),
                                  MEMBER(max_minutes), MEMBER(split_train),    MEMBER(split_seed),    MEMBER(split_video)};
    AUTO_REQ a = {0};
    fill(&a);
    AUTO_REQ b = {0};
    assert_true(request_copy(&b, &a));
    assert_true(request_same(&a, &b));
    str_copy(b.classes[1], CLASS_NAME_MAX, "x");
    assert_false(request_same(&a, &b));
    str_copy(b.classes[1], CLASS_NAME_MAX, a.classes[1]);
    for (size_t i = 0; i < COUNT(who) + COUNT(what); i++) {
        unsigned char *byte = (unsigned char *)&b + (i < COUNT(who) ? who[i] : what[i - COUNT(who)]);
        *byte ^= 1;
        if (request_same(&a, &b) != (i < COUNT(who)))
            fail_msg("member %zu", i);
        *byte ^= 1;
    }
}

/* Of former times: published whatever it scored. What was trained so far keeps its digest, and is the same whether it is published or not.
 */
static void test_publish(void **state)
{
    (void)state;
    AUTO_REQ a = {0};
    AUTO_REQ b = {0};
    AUTO_STR text = STR_MAX(65536);
    char never[65], former[65];
    fill(&a);
    a.model = 3; /* as models were asked for then */
    a.model_name[0] = '\0';
    a.pretrained = true;
    request_digest(&a, never);
    a.publish = PUBLISH_UNGATED;
    request_digest(&a, former);
    assert_string_equal(never, former);
    assert_string_equal(former, "c31044dbf4baa86fb4ff42cf4180c3a7aea6db20a4cbaacb97caefbfed04d596");
    write_whole(&text, &a);
    assert_lacks(str_c(&text), "publish");
    assert_int_equal(read_text(str_c(&text), &b), OK);
    assert_int_equal(b.publish, PUBLISH_UNGATED);
}

static void test_tasks(void **state)
{
    (void)state;
    for (enum task t = TASK_CLASSIFICATION; t <= TASK_INSTANCE_SEGMENTATION; t++)
        assert_int_equal(task_parse(task_name(t)), t);
    assert_int_equal(task_parse("Instance-Segmentation"), TASK_INSTANCE_SEGMENTATION);
    assert_int_equal(task_parse(""), TASK_NONE);
    assert_int_equal(task_parse("instance_segmentation_of_everything"), TASK_NONE);
    assert_string_equal(task_name(TASK_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_one_size),
                                       cmocka_unit_test(test_places),     cmocka_unit_test(test_rejected_is_saved_too),
                                       cmocka_unit_test(test_refuses),    cmocka_unit_test(test_same),
                                       cmocka_unit_test(test_publish),    cmocka_unit_test(test_tasks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
