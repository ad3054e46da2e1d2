/* Models: the former numbers, the names, and what each trainer is told. */
#include "test.h"

#include "job/models.h"

static void test_former_numbers(void **state)
{
    (void)state;
    static const struct {
        enum task task;
        int32_t number;
        const char *name;
        int32_t size;
    } rows[] = {
        {TASK_CLASSIFICATION, 1, "efficientnet_b0", 0},
        {TASK_CLASSIFICATION, 2, "mobilenet_v3_small", 0},
        {TASK_CLASSIFICATION, 3, "mobilenet_v3_large", 0},
        {TASK_CLASSIFICATION, 4, "mobilenet_v3_large", 0},
        {TASK_DETECTION, 1, "ssd_mobilenetv2", 256},
        {TASK_DETECTION, 2, "ssd_mobilenetv2", 384},
        {TASK_DETECTION, 3, "ssd_mobilenetv2", 512},
        {TASK_INSTANCE_SEGMENTATION, 1, "maskrcnn_efficientnetb2b", 480},
        {TASK_INSTANCE_SEGMENTATION, 2, "maskrcnn_efficientnetb2b", 576},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct model_kind *kind = models_by_number(rows[i].task, rows[i].number);
        assert_non_null(kind);
        assert_string_equal(kind->name, rows[i].name);
        assert_int_equal(kind->input_size, rows[i].size);
        assert_int_equal(kind->remark != NULL, rows[i].task == TASK_CLASSIFICATION && rows[i].number == 3);
    }
    assert_int_equal(models_numbers(TASK_CLASSIFICATION), 4);
    assert_int_equal(models_numbers(TASK_DETECTION), 3);
    assert_int_equal(models_numbers(TASK_INSTANCE_SEGMENTATION), 2);
    assert_null(models_by_number(TASK_DETECTION, 0));
    assert_null(models_by_number(TASK_DETECTION, 4));
}

static void test_names(void **state)
{
    (void)state;
    AUTO_STR names = STR_MAX(400);
    assert_int_equal(models_by_name(TASK_CLASSIFICATION, "MobileNet_V3_Large")->number, 4); /* never the one that is only the nearest */
    assert_int_equal(models_by_name(TASK_CLASSIFICATION, "efficientnet_b0")->number, 1);
    assert_int_equal(models_by_name(TASK_DETECTION, "ssd_mobilenetv2")->input_size, 0); /* its own size, which no number is */
    assert_int_equal(models_by_name(TASK_DETECTION, "ssd_mobilenetv2")->number, 0);
    assert_null(models_by_name(TASK_DETECTION, "efficientnet_b0"));
    assert_int_equal(models_by_name(TASK_NONE, "efficientnet_b0")->task, TASK_CLASSIFICATION);
    assert_null(models_by_name(TASK_NONE, "tiny"));
    models_names(TASK_CLASSIFICATION, &names);
    assert_string_equal(str_c(&names), "efficientnet_b0, mobilenet_v3_small, mobilenet_v3_large, efficientnet_v2, dino_v2");
}

static void test_what_the_trainer_is_told(void **state)
{
    (void)state;
    struct request r = {.task = TASK_DETECTION, .model = 2};
    assert_int_equal(models_of("getitune", &r)->input_size, 384);
    assert_string_equal(models_of("tiny", &r)->name, "tiny");
    assert_int_equal(models_of("tiny", &r)->input_size, 0);
    r = (struct request){.task = TASK_DETECTION, .model_name = "yolox_tiny"};
    assert_string_equal(models_of("getitune", &r)->name, "yolox_tiny");
    assert_null(models_of("tiny", &r)); /* it would be another model than was asked for */
    r = (struct request){.task = TASK_INSTANCE_SEGMENTATION, .model = 1};
    assert_non_null(models_of("getitune", &r));
    assert_null(models_of("tiny", &r));
    r = (struct request){.task = TASK_DETECTION, .model_name = "gone_since"};
    assert_null(models_of("getitune", &r));
    assert_true(models_is_trainer("tiny") && models_is_trainer("getitune") && !models_is_trainer("otx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_former_numbers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_the_trainer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
