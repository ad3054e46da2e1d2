/* models.h - which models there are: the one table from a task and the former model_type, or a name, to what the trainer is told. Pure. */
#ifndef MODELS_H
#define MODELS_H
#include "job/request.h"

#define TRAINER_TINY "tiny" /* one small network per task, whatever is asked for; no instance segmentation */
#define TRAINER_GETITUNE "getitune"
#define TRAINERS TRAINER_TINY ", " TRAINER_GETITUNE

bool models_is_trainer(const char *name);

struct model_kind {
    enum task task;
    int32_t number;     /* the former model_type; 0: by name only */
    const char *name;   /* as the trainer calls it */
    int32_t input_size; /* pixels; 0: the model's own */
    const char *remark; /* for people who ask for it by number; NULL: none */
};
const struct model_kind *models_by_number(enum task task, int32_t number); /* NULL: none */
/* The row that a name alone means (case ignored): the model at its own size. TASK_NONE: of any task. */
const struct model_kind *models_by_name(enum task task, const char *name);
int32_t models_numbers(enum task task);            /* 1 to this */
void models_names(enum task task, struct str *to); /* comma list, each once */

/* What a request asks for, in the words of the trainer; NULL when the trainer has no model for it. */
const struct model_kind *models_of(const char *trainer, const struct request *r);
#endif
