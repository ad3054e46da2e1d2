/* bootstrap_grants.c - what a machine may read and write (controller/bootstrap.h): the rows, and which of them apply to a job. */
#include <stdio.h>
#include <string.h>

#include "controller/bootstrap.h"

#define FORMER_MAX 3 /* former machines whose checkpoints may be read: more would be links that nobody follows */

/* What a machine may touch: one row per file. Where `when` is not ALWAYS the row applies only to some jobs. */
enum when { ALWAYS, WITH_PARENT, WITH_BASELINE, WITH_VALIDATION, FOR_SEGMENTS };
enum where { ZIP, VALIDATION, SCRIPTS, CLAIM, STATUS, CONTROL, OUT, LOG, CHECKPOINT, PARENT_LOG, CURRENT, BELL };
static const struct {
    const char *name;
    enum where where;
    const char *file, *permissions;
    enum when when;
} GRANTS[] = {
    {"zip", ZIP, "", "r", ALWAYS},
    {"validation_zip", VALIDATION, "", "r", WITH_VALIDATION},
    {"scripts", SCRIPTS, "", "r", ALWAYS},
    {"parent_checkpoint", PARENT_LOG, "latest.pth", "r", WITH_PARENT},
    {"parent_split", PARENT_LOG, "split.json", "r", WITH_PARENT},
    {"current_manifest", CURRENT, "manifest.json", "r", WITH_BASELINE},
    {"current_xml", CURRENT, "model.xml", "r", WITH_BASELINE},
    {"current_bin", CURRENT, "model.bin", "r", WITH_BASELINE},
    {"current_labels", CURRENT, "labels.json", "r", WITH_BASELINE},
    {"current_split", CURRENT, "split.json", "r", WITH_BASELINE},
    {"claim", CLAIM, "", "rc", ALWAYS},
    {"status", STATUS, "", "cw", ALWAYS},
    {"control", CONTROL, "", "r", ALWAYS},
    {"out_model_bin", OUT, "model.bin", "cw", ALWAYS},
    {"out_model_xml", OUT, "model.xml", "cw", ALWAYS},
    {"out_labels", OUT, "labels.json", "cw", ALWAYS},
    {"out_split", OUT, "split.json", "cw", ALWAYS},
    {"out_metrics", OUT, "metrics.json", "cw", ALWAYS},
    {"out_sample", OUT, "sample.png", "cw", ALWAYS},
    {"out_predict", OUT, "predict.py", "cw", FOR_SEGMENTS},
    {"out_manifest", OUT, "manifest.json", "c", ALWAYS},
    {"out_report", OUT, "report.json", "c", ALWAYS},
    {"log_train", LOG, "train.log", "rcw", ALWAYS},
    {"log_metrics", LOG, "metrics.json", "rcw", ALWAYS},
    {"log_split", LOG, "split.json", "rcw", ALWAYS},
    {"log_result", LOG, "result.json", "rcw", ALWAYS},
    {"log_latest", LOG, "latest.pth", "rcw", ALWAYS},
    {"log_curve", LOG, "training_curve.png", "rcw", ALWAYS},
    {"log_quality", LOG, "quality.png", "rcw", ALWAYS},
    {"log_worst", LOG, "worst_images.png", "rcw", ALWAYS},
    {"log_benchmark", LOG, "benchmark.json", "rcw", ALWAYS},
    {"log_ckpt", CHECKPOINT, "ckpt.json", "rcw", ALWAYS},
    {"log_last_0", CHECKPOINT, "last.0.pth", "rcw", ALWAYS},
    {"log_last_1", CHECKPOINT, "last.1.pth", "rcw", ALWAYS},
    {"log_best_0", CHECKPOINT, "best.0.pth", "rcw", ALWAYS},
    {"log_best_1", CHECKPOINT, "best.1.pth", "rcw", ALWAYS},
    {"bell", BELL, "", "a", ALWAYS},
};

/* The machine that comes after an eviction goes on with what the one before it kept. Attempts that were refused, or whose machine did not
 * come up, have kept nothing and do not count. */
static int32_t run_of(const struct record *rec)
{
    return rec->state.evictions + 1;
}

/* Each run keeps its checkpoints under names of its own: a machine never writes over what the one after it may need. */
static void place_checkpoint(const struct record *rec, int32_t run, const char *file, struct grant *g)
{
    g->service = STORAGE_FILE;
    g->container = SHARE_LOGS;
    if (run == 1)
        snprintf(g->path, sizeof g->path, "%s/%s", rec->request.job_name, file);
    else
        snprintf(g->path, sizeof g->path, "%s/run-%d.%s", rec->request.job_name, run, file);
}

static void place(const struct record *rec, enum where where, const char *file, struct grant *g)
{
    g->service = STORAGE_BLOB;
    g->container = CONTAINER_FILES;
    switch (where) {
    case ZIP:
        g->service = STORAGE_FILE;
        g->container = SHARE_TRAIN;
        str_copy(g->path, sizeof g->path, rec->request.zip);
        break;
    case VALIDATION:
        g->service = STORAGE_FILE;
        g->container = SHARE_TRAIN;
        controller_validation(rec->request.line, g->path);
        break;
    case SCRIPTS:
        controller_scripts(rec, g->path);
        break;
    case CLAIM:
        controller_claim(rec, g->path);
        break;
    case STATUS:
        controller_status(rec, g->path);
        break;
    case CONTROL:
        controller_control(rec, g->path);
        break;
    case OUT:
        controller_out(rec, file, g->path);
        break;
    case CHECKPOINT:
        place_checkpoint(rec, run_of(rec), file, g);
        break;
    case LOG:
    case PARENT_LOG:
        g->service = STORAGE_FILE;
        g->container = SHARE_LOGS;
        snprintf(g->path, sizeof g->path, "%s/%s", where == LOG ? rec->request.job_name : rec->parent_name, file);
        break;
    case CURRENT:
        g->container = CONTAINER_MODEL;
        snprintf(g->path, sizeof g->path, "%s/%lld/%s", rec->request.line, (long long)rec->baseline, file);
        break;
    case BELL:
        g->service = STORAGE_QUEUE;
        g->container = QUEUE_BELL;
        g->path[0] = '\0';
        break;
    }
}

/* The checkpoints of the run that came `ago` runs before this one: "former_1_ckpt" is the last one's "log_ckpt". */
static size_t former_grants(const struct record *rec, int32_t ago, struct grant *grants)
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof GRANTS / sizeof *GRANTS; i++) {
        if (GRANTS[i].where != CHECKPOINT)
            continue;
        struct grant *g = &grants[count++];
        *g = (struct grant){.permissions = "r"};
        snprintf(g->name, sizeof g->name, "former_%d_%s", ago, GRANTS[i].name + strlen("log_"));
        place_checkpoint(rec, run_of(rec) - ago, GRANTS[i].file, g);
    }
    return count;
}

static bool applies(const struct record *rec, enum when when)
{
    switch (when) {
    case WITH_PARENT:
        return rec->parent_name[0] != '\0';
    case WITH_BASELINE:
        return rec->baseline > 0;
    case WITH_VALIDATION:
        return rec->validation != 0;
    case FOR_SEGMENTS:
        return rec->request.task == TASK_INSTANCE_SEGMENTATION;
    case ALWAYS:
        break;
    }
    return true;
}

size_t bootstrap_grants(const struct record *rec, struct grant grants[GRANTS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof GRANTS / sizeof *GRANTS; i++) {
        if (!applies(rec, GRANTS[i].when))
            continue;
        struct grant *g = &grants[count++];
        *g = (struct grant){.permissions = GRANTS[i].permissions};
        str_copy(g->name, sizeof g->name, GRANTS[i].name);
        place(rec, GRANTS[i].where, GRANTS[i].file, g);
    }
    for (int32_t ago = 1; ago <= FORMER_MAX && ago < run_of(rec); ago++)
        count += former_grants(rec, ago, grants + count);
    return count;
}
