#include "job/models.h"

/* The former model_types first. A name that has no row of its own size stands once more, without a number. */
static const struct model_kind KINDS[] = {
    {TASK_CLASSIFICATION, 1, "efficientnet_b0", 0, NULL},
    {TASK_CLASSIFICATION, 2, "mobilenet_v3_small", 0, NULL},
    {TASK_CLASSIFICATION, 3, "mobilenet_v3_large", 0,
     "model_type 3, mobilenet_v3_large_075, is no longer to be had: the nearest, mobilenet_v3_large, is trained"},
    {TASK_CLASSIFICATION, 4, "mobilenet_v3_large", 0, NULL},
    {TASK_CLASSIFICATION, 0, "efficientnet_v2", 0, NULL},
    {TASK_CLASSIFICATION, 0, "dino_v2", 0, NULL},
    {TASK_DETECTION, 1, "ssd_mobilenetv2", 256, NULL},
    {TASK_DETECTION, 2, "ssd_mobilenetv2", 384, NULL},
    {TASK_DETECTION, 3, "ssd_mobilenetv2", 512, NULL},
    {TASK_DETECTION, 0, "ssd_mobilenetv2", 0, NULL},
    {TASK_DETECTION, 0, "yolox_tiny", 0, NULL},
    {TASK_DETECTION, 0, "atss_mobilenetv2", 0, NULL},
    {TASK_DETECTION, 0, "deim_dfine_m", 0, NULL},
    {TASK_INSTANCE_SEGMENTATION, 1, "maskrcnn_efficientnetb2b", 480, NULL},
    {TASK_INSTANCE_SEGMENTATION, 2, "maskrcnn_efficientnetb2b", 576, NULL},
    {TASK_INSTANCE_SEGMENTATION, 0, "maskrcnn_efficientnetb2b", 0, NULL},
    {TASK_INSTANCE_SEGMENTATION, 0, "rtmdet_inst_tiny", 0, NULL},
    {TASK_INSTANCE_SEGMENTATION, 0, "maskrcnn_r50", 0, NULL},
};
#define COUNT (sizeof KINDS / sizeof *KINDS)

bool models_is_trainer(const char *name)
{
    return str_is(name, TRAINER_TINY) || str_is(name, TRAINER_GETITUNE);
}

const struct model_kind *models_by_number(enum task task, int32_t number)
{
    for (size_t i = 0; i < COUNT; i++)
        if (KINDS[i].task == task && KINDS[i].number == number && number > 0)
            return &KINDS[i];
    return NULL;
}

const struct model_kind *models_by_name(enum task task, const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if ((task == TASK_NONE || KINDS[i].task == task) && KINDS[i].input_size == 0 && KINDS[i].remark == NULL &&
            str_is_nocase(KINDS[i].name, name))
            return &KINDS[i];
    return NULL;
}

int32_t models_numbers(enum task task)
{
    int32_t most = 0;

    for (size_t i = 0; i < COUNT; i++)
        if (KINDS[i].task == task && KINDS[i].number > most)
            most = KINDS[i].number;
    return most;
}

void models_names(enum task task, struct str *to)
{
    bool first = true;

    for (size_t i = 0; i < COUNT; i++) {
        if (KINDS[i].task != task || models_by_name(task, KINDS[i].name) != &KINDS[i])
            continue;
        str_addf(to, "%s%s", first ? "" : ", ", KINDS[i].name);
        first = false;
    }
}

const struct model_kind *models_of(const char *trainer, const struct request *r)
{
    static const struct model_kind tiny = {TASK_NONE, 0, TRAINER_TINY, 0, NULL};

    if (str_is(trainer, TRAINER_TINY))
        return r->task == TASK_INSTANCE_SEGMENTATION || r->model == 0 ? NULL : &tiny;
    return r->model > 0 ? models_by_number(r->task, r->model) : models_by_name(r->task, r->model_name);
}
