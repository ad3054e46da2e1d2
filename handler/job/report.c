#include "job/report.h"

#include <stdlib.h>
#include <string.h>

#include "job/text.h"

#define DEPTH 8
#define CLASSES_BYTES_MAX 16384 /* so that every small file that repeats them stays small */

static enum err_code same_attempt(const struct json *doc, const char *job_id, int32_t attempt, struct err *err)
{
    if (json_get_int(doc, "v", 0) != 1)
        return err_set(err, ERR_INPUT, "v is not 1");
    if (!str_is(json_get_text(doc, "job_id"), job_id) || json_get_int(doc, "attempt", 0) != attempt)
        return err_set(err, ERR_INPUT, "it is not of job %s, attempt %d", job_id, attempt);
    return OK;
}

enum err_code report_read(const char *text, size_t len, const char *job_id, int32_t attempt, struct report *out, struct err *err)
{
    AUTO_JSON doc = NULL;
    enum err_code code = json_parse(text, len, DEPTH, &doc, err);
    if (code == OK)
        code = same_attempt(doc, job_id, attempt, err);
    if (code != OK)
        return err_context(err, "report.json");

    *out = (struct report){.outcome = OUTCOME_FAILED};
    const char *status = json_get_text(doc, "status");
    if (str_is(status, "succeeded"))
        out->outcome = OUTCOME_SUCCEEDED;
    else if (str_is(status, "timed_out"))
        out->outcome = OUTCOME_TIMED_OUT;
    text_mask(json_get_text(doc, "stage"), out->stage, sizeof out->stage);
    out->exit_code = (int32_t)json_get_int(doc, "exit_code", -1);
    text_mask(json_get_text(doc, "reason"), out->reason, sizeof out->reason); /* people read it: links have keys in them */
    AUTO_STR log = STR_MAX(REPORT_LOG_MAX - 1);
    const struct json *lines = json_get(doc, "log");
    for (size_t i = 0; i < json_len(lines); i++) {
        const char *line = json_text(json_at(lines, i));
        char cut[301];
        text_mask(line != NULL ? line : "", cut, sizeof cut);
        if (log.len + strlen(cut) + 1 >= log.max)
            break;
        str_addf(&log, "%s\n", cut);
    }
    str_copy(out->log, sizeof out->log, str_c(&log));
    return OK;
}

void manifest_done(struct manifest *m)
{
    free(m->class_name);
    m->class_name = NULL;
}

/* The names a machine may publish; model.bin and model.xml must be among them. */
static bool known_file(const char *name)
{
    static const char *const known[] = {"model.bin", "model.xml", "labels.json", "split.json", "metrics.json", "sample.png", "predict.py"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(name, known[i]))
            return true;
    return false;
}

static bool is_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static enum err_code read_files(const struct json *files, struct manifest *out, struct err *err)
{
    bool bin = false, xml = false;

    if (json_len(files) == 0 || json_len(files) > MODEL_FILES_MAX)
        return err_set(err, ERR_INPUT, "files: %zu entries, 1 to %d are allowed", json_len(files), MODEL_FILES_MAX);
    for (size_t i = 0; i < json_len(files); i++) {
        const struct json *entry = json_at(files, i);
        const char *name = json_get_text(entry, "name"), *hash = json_get_text(entry, "sha256");
        int64_t size = json_get_int(entry, "size", -1);
        struct model_file *f = &out->file[out->files];
        if (!known_file(name))
            return err_set(err, ERR_INPUT, "files: `%.40s` is not a name that is published", name);
        for (int32_t j = 0; j < out->files; j++)
            if (str_is(out->file[j].name, name))
                return err_set(err, ERR_INPUT, "files: `%s` twice", name);
        if (size <= 0 || !is_sha256(hash))
            return err_set(err, ERR_INPUT, "files: `%s` has no valid size and sha256", name);
        str_copy(f->name, sizeof f->name, name);
        str_copy(f->sha256, sizeof f->sha256, hash);
        f->size = size;
        out->files++;
        bin |= str_is(name, "model.bin");
        xml |= str_is(name, "model.xml");
    }
    return bin && xml ? OK : err_set(err, ERR_INPUT, "files: model.bin and model.xml must both be there");
}

static enum err_code read_classes(const struct json *classes, struct manifest *out, struct err *err)
{
    size_t count = json_len(classes), bytes = 0;
    AUTO_STR joined = STR_MAX(sizeof out->classes * 64);

    if (count == 0 || count > 200)
        return err_set(err, ERR_INPUT, "classes: %zu names, 1 to 200 are allowed", count);
    out->class_name = calloc(count, sizeof *out->class_name);
    if (out->class_name == NULL)
        return err_set(err, ERR_MEMORY, "no memory");
    for (size_t i = 0; i < count; i++) {
        const char *name = json_text(json_at(classes, i));
        if (name == NULL || *name == '\0' || strlen(name) > 256 || text_has_control(name))
            return err_set(err, ERR_INPUT, "classes: name %zu is not a plain text of 1 to 256 bytes", i + 1);
        bytes += strlen(name);
        if (bytes > CLASSES_BYTES_MAX)
            return err_set(err, ERR_INPUT, "classes: together longer than %d bytes", CLASSES_BYTES_MAX);
        str_copy(out->class_name[i], sizeof *out->class_name, name);
        str_addf(&joined, "%s%s", i > 0 ? ", " : "", name);
        out->classes_count++;
    }
    str_copy(out->classes, sizeof out->classes, str_c(&joined));
    return OK;
}

/* Of figures that only explain; one that cannot be is not known. */
static int64_t count_of(const struct json *object, const char *name)
{
    int64_t count = json_get_int(object, name, 0);
    return count > 0 ? count : 0;
}

/* What people are told of the model. */
static enum err_code read_figures(const struct json *metrics, const struct json *lineage, struct manifest *out, struct err *err)
{
    const char *metric = json_get_text(metrics, "primary");

    if (text_has_control(metric))
        return err_set(err, ERR_INPUT, "manifest.json: metrics.primary is not a plain text");
    if (!json_number(json_get(metrics, "value"), &out->value) || !(out->value >= 0 && out->value <= 1))
        return err_set(err, ERR_INPUT, "manifest.json: metrics.value must be a number from 0 to 1");
    str_copy(out->metric, sizeof out->metric, metric);
    out->images = count_of(metrics, "images");
    out->images_train = count_of(lineage, "images_train");
    out->epochs_done = count_of(lineage, "epochs_done");
    return OK;
}

enum err_code manifest_read(const char *text, size_t len, const char *job_id, int32_t attempt, const char *line, const char *task,
                            struct manifest *out, struct err *err)
{
    AUTO_JSON doc = NULL;

    *out = (struct manifest){0};
    enum err_code code = json_parse(text, len, DEPTH, &doc, err);
    if (code == OK)
        code = same_attempt(doc, job_id, attempt, err);
    if (code == OK && (!str_is(json_get_text(doc, "line"), line) || !str_is(json_get_text(doc, "task"), task)))
        code = err_set(err, ERR_INPUT, "it is not for line %s and task %s", line, task);
    if (code == OK)
        code = read_files(json_get(doc, "files"), out, err);
    if (code == OK)
        code = read_classes(json_get(doc, "classes"), out, err);
    if (code == OK)
        code = gate_read(doc, &out->gate, err);
    if (code != OK)
        return err_context(err, "manifest.json");
    return read_figures(json_get(doc, "metrics"), json_get(doc, "lineage"), out, err);
}

int64_t status_beat(const char *text, size_t len)
{
    AUTO_JSON doc = NULL;

    if (json_parse(text, len, DEPTH, &doc, NULL) != OK || json_get_int(doc, "v", 0) != 1)
        return 0;
    return json_get_int(doc, "beat_s", 0);
}
