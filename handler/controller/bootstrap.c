#include "controller/bootstrap.h"

#include <stdio.h>
#include <string.h>

#include "azure/sign.h"

#define HOME "/opt/retrain"
#define CLOCK_SKEW_S 900    /* grants begin this much before the start */
#define GRANT_MARGIN_S 3600 /* and end this much after the hard stop */
#define LINK_MAX 2048
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

static enum err_code link_of(const struct storage *s, const struct record *rec, const struct grant *g, struct str *url, struct err *err)
{
    int64_t from = rec->state.started_s - CLOCK_SKEW_S, to = rec->state.hard_stop_s + GRANT_MARGIN_S;

    switch (g->service) {
    case STORAGE_FILE:
        return sign_file_url(s, g->container, g->path, g->permissions, from, to, url, err);
    case STORAGE_QUEUE:
        return sign_queue_url(s, g->container, g->permissions, from, to, url, err);
    case STORAGE_BLOB:
        break;
    }
    return sign_blob_url(s, g->container, g->path, g->permissions, from, to, url, err);
}

static void put_optional(struct str *to, const char *name, const char *text)
{
    json_put_text(to, name, *text != '\0' ? text : NULL);
}

static void put_request(struct str *to, const struct record *rec)
{
    const struct request *r = &rec->request;

    json_open(to, "request", '{');
    json_put_text(to, "zip", r->zip);
    put_optional(to, "dataset_sha256", r->dataset_sha256);
    if (r->classes == NULL)
        json_put_null(to, "classes");
    else {
        json_open(to, "classes", '[');
        for (int32_t i = 0; i < r->classes_count; i++)
            json_put_text(to, NULL, r->classes[i]);
        json_close(to, ']');
    }
    json_put_int(to, "epochs", r->epochs);
    json_put_text(to, "task", task_name(r->task));
    json_put_int(to, "model", r->model);
    put_optional(to, "continue_from", rec->parent_name);
    json_put_text(to, "line", r->line);
    json_put_number(to, "max_hours", r->max_minutes / 60.0);
    json_open(to, "split", '{');
    json_put_number(to, "train", r->split_train);
    json_put_int(to, "seed", r->split_seed);
    json_put_text(to, "group", r->split_video ? "video" : "none");
    json_close(to, '}');
    put_optional(to, "requested_by", r->requested_by);
    put_optional(to, "note", r->note);
    json_close(to, '}');
}

static void put_times(struct str *to, const struct job_state *s)
{
    json_open(to, "times", '{');
    json_put_int(to, "accepted_s", s->accepted_s);
    json_put_int(to, "started_s", s->started_s);
    json_put_int(to, "train_until_s", s->train_until_s);
    json_put_int(to, "deadline_s", s->deadline_s);
    json_put_int(to, "hard_stop_s", s->hard_stop_s);
    json_close(to, '}');
}

static enum err_code job_json(const struct storage *s, const struct record *rec, struct str *to, struct err *err)
{
    struct grant grants[GRANTS_MAX];
    size_t count = bootstrap_grants(rec, grants);

    json_open(to, NULL, '{');
    json_put_int(to, "v", 1);
    json_put_text(to, "job_id", rec->job_id);
    json_put_text(to, "job_name", rec->request.job_name);
    json_put_int(to, "attempt", rec->state.attempt);
    json_put_text(to, "trainer", rec->trainer);
    put_request(to, rec);
    json_put_text(to, "vm_size", record_size(rec));
    json_open(to, "zip", '{');
    json_put_int(to, "size", rec->zip_size);
    json_put_text(to, "etag", rec->zip_etag);
    json_close(to, '}');
    if (rec->baseline > 0)
        json_put_int(to, "baseline", rec->baseline);
    else
        json_put_null(to, "baseline");
    json_put_text(to, "scripts_sha256", rec->scripts_sha256);
    put_times(to, &rec->state);
    json_open(to, "links", '{');
    for (size_t i = 0; i < count; i++) {
        AUTO_STR url = STR_MAX(LINK_MAX);
        enum err_code code = link_of(s, rec, &grants[i], &url, err);
        if (code != OK)
            return code;
        json_put_text(to, grants[i].name, str_c(&url));
    }
    json_close(to, '}');
    json_close(to, '}');
    return str_check(to, "job.json", err);
}

static void put_file(struct str *to, const char *path, const char *permissions, const struct str *content)
{
    json_open(to, NULL, '{');
    json_put_text(to, "path", path);
    json_put_text(to, "permissions", permissions);
    json_put_text(to, "owner", "root:root");
    json_put_text(to, "content", str_c(content));
    json_close(to, '}');
}

/* For the boot files, which parse nothing: one value a file. */
static void put_value(struct str *to, const char *name, const struct str *value)
{
    AUTO_STR path = STR_MAX(128);

    str_addf(&path, HOME "/values/%s", name);
    put_file(to, str_c(&path), "0600", value);
}

static void put_text_value(struct str *to, const char *name, const char *text)
{
    AUTO_STR value = STR_MAX(256);

    str_add(&value, text);
    put_value(to, name, &value);
}

static void put_number_value(struct str *to, const char *name, int64_t number)
{
    AUTO_STR value = STR_MAX(32);

    str_addf(&value, "%lld", (long long)number);
    put_value(to, name, &value);
}

static enum err_code put_link_value(struct str *to, const char *name, const struct storage *s, const struct record *rec, const char *grant,
                                    struct err *err)
{
    struct grant grants[GRANTS_MAX];
    size_t count = bootstrap_grants(rec, grants);

    for (size_t i = 0; i < count; i++)
        if (str_is(grants[i].name, grant)) {
            AUTO_STR url = STR_MAX(LINK_MAX);
            enum err_code code = link_of(s, rec, &grants[i], &url, err);
            if (code == OK)
                put_value(to, name, &url);
            return code;
        }
    return err_set(err, ERR_INTERNAL, "no grant %s", grant);
}

static enum err_code put_values(struct str *to, const struct storage *s, const struct record *rec, struct err *err)
{
    AUTO_STR bell = STR_MAX(512), body = STR_MAX(1024);

    json_open(&bell, NULL, '{');
    json_put_int(&bell, "v", 1);
    json_put_text(&bell, "job_id", rec->job_id);
    json_put_int(&bell, "attempt", rec->state.attempt);
    json_close(&bell, '}');
    str_add(&body, "<QueueMessage><MessageText>");
    str_add_xml(&body, str_c(&bell));
    str_add(&body, "</MessageText></QueueMessage>");

    put_value(to, "bell_body", &body);
    put_text_value(to, "job_id", rec->job_id);
    put_text_value(to, "scripts_sha256", rec->scripts_sha256);
    put_number_value(to, "attempt", rec->state.attempt);
    put_number_value(to, "hard_stop_s", rec->state.hard_stop_s);
    enum err_code code = put_link_value(to, "claim_url", s, rec, "claim", err);
    if (code == OK)
        code = put_link_value(to, "scripts_url", s, rec, "scripts", err);
    if (code == OK)
        code = put_link_value(to, "report_url", s, rec, "out_report", err);
    if (code == OK)
        code = put_link_value(to, "bell_url", s, rec, "bell", err);
    return code;
}

/* The unit's only blank: how long it may run at most. */
static void put_unit(struct str *to, const struct str *unit, const struct record *rec)
{
    static const char BLANK[] = "@RUN_MAX_S@";
    AUTO_STR text = STR_MAX(32 * 1024);
    const char *from = str_c(unit), *at = strstr(from, BLANK);

    if (at != NULL) {
        str_add_n(&text, from, (size_t)(at - from));
        str_addf(&text, "%lld", (long long)(rec->state.hard_stop_s - rec->state.started_s));
        from = at + strlen(BLANK);
    }
    str_add(&text, from);
    put_file(to, "/etc/systemd/system/retrain.service", "0644", &text);
}

static void put_command(struct str *to, const char *const *words)
{
    json_open(to, NULL, '[');
    for (; *words != NULL; words++)
        json_put_text(to, NULL, *words);
    json_close(to, ']');
}

enum err_code bootstrap_custom_data(const struct controller *c, const struct record *rec, struct str *to, struct err *err)
{
    static const char *const reload[] = {"systemctl", "daemon-reload", NULL},
                             *const enable[] = {"systemctl", "enable", "retrain.service", NULL},
                             *const start[] = {"systemctl", "start", "--no-block", "retrain.service", NULL};
    AUTO_STR job = STR_MAX(CUSTOM_DATA_MAX), config = STR_MAX(CUSTOM_DATA_MAX);
    enum err_code code = job_json(&c->storage, rec, &job, err);

    if (code != OK)
        return code;
    json_open(&config, NULL, '{');
    json_open(&config, "write_files", '[');
    put_file(&config, HOME "/job.json", "0600", &job);
    put_file(&config, HOME "/boot/start", "0700", &c->assets.start);
    put_file(&config, HOME "/boot/claim", "0700", &c->assets.claim);
    put_file(&config, HOME "/boot/fetch", "0700", &c->assets.fetch);
    put_file(&config, HOME "/boot/report", "0700", &c->assets.report);
    put_unit(&config, &c->assets.unit, rec);
    code = put_values(&config, &c->storage, rec, err);
    if (code != OK)
        return code;
    json_close(&config, ']');
    json_open(&config, "runcmd", '[');
    put_command(&config, reload);
    put_command(&config, enable);
    put_command(&config, start);
    json_close(&config, ']');
    json_close(&config, '}');
    str_add(to, "#cloud-config\n");
    str_add(to, str_c(&config));
    return str_check(to, "customData", err);
}
