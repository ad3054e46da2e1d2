#include "job/suggest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "job/checks.h"
#include "job/money.h"
#include "job/text.h"
#include "job/zipname.h"

#define STEM_MAX 40

static bool default_classes(const struct request *q, const struct message_defaults *defaults)
{
    struct message m = {0};
    struct reading r = {.m = &m, .defaults = defaults};
    check_default_classes(&r);
    bool same = m.request.classes_count == q->classes_count;
    for (int32_t i = 0; same && i < q->classes_count; i++)
        same = str_is(m.request.classes[i], q->classes[i]);
    request_done(&m.request);
    return same;
}

static bool default_split(const struct request *q)
{
    return q->split_train > TRAIN_DEFAULT - 1e-9 && q->split_train < TRAIN_DEFAULT + 1e-9 && q->split_seed == SEED_DEFAULT &&
           q->split_video;
}

static bool default_sizes(const struct request *q, const struct message_defaults *defaults)
{
    struct message m = {0};
    check_default_sizes(&(struct reading){.m = &m, .defaults = defaults});
    return places_same(&q->vm_sizes, &m.request.vm_sizes);
}

static bool default_regions(const struct request *q, const struct message_defaults *defaults)
{
    struct message m = {0};
    check_default_regions(&(struct reading){.m = &m, .defaults = defaults});
    return places_same(&q->regions, &m.request.regions);
}

/* A job from before there was a gate is asked for once more as any other is now. */
static bool says_publish(const struct request *q)
{
    return q->publish == PUBLISH_ALWAYS || q->publish == PUBLISH_NEVER;
}

/* Can the colon form say all of it? */
static bool fits_colon(const struct request *q, const struct message_defaults *defaults, bool classes)
{
    if (q->dataset_sha256[0] || !defaults || q->max_minutes != defaults->max_minutes || !str_is(q->line, LINE_DEFAULT) ||
        !default_split(q) || (q->vm_sizes.count > 1 && !default_sizes(q, defaults)) || !default_regions(q, defaults) ||
        q->spot != defaults->spot || q->max_micro_usd > 0 || q->force || !q->pretrained || says_publish(q) || q->requested_by[0] ||
        q->note[0] || q->zip[0] == '{' || strstr(q->zip, "："))
        return false;
    for (int32_t i = 0; classes && i < q->classes_count; i++)
        if (strchr(q->classes[i], ':') || strstr(q->classes[i], "：") || strstr(q->classes[i], "，"))
            return false;
    return true;
}

static void write_colon(struct str *to, const struct request *q, const struct message_defaults *defaults, bool classes)
{
    AUTO_STR names = STR_MAX(CLASSES_MAX * CLASS_NAME_MAX);
    for (int32_t i = 0; classes && i < q->classes_count; i++)
        str_addf(&names, "%s%s", i ? "," : "", q->classes[i]);
    char epochs[16] = "", task[16] = "", model[MODEL_NAME_MAX] = "";
    if (q->epochs != defaults->epochs)
        snprintf(epochs, sizeof epochs, "%d", (int)q->epochs);
    if (q->task != TASK_DETECTION)
        snprintf(task, sizeof task, "%d", (int)q->task);
    if (q->model_name[0])
        str_copy(model, sizeof model, q->model_name);
    else if (q->model != 1)
        snprintf(model, sizeof model, "%d", (int)q->model);
    const char *field[] = {q->zip,
                           q->job_id_given ? q->job_name : "",
                           default_sizes(q, defaults) ? "" : places_first(&q->vm_sizes),
                           str_c(&names),
                           epochs,
                           task,
                           model,
                           q->continue_from};
    size_t count = sizeof field / sizeof *field;
    while (count > 1 && field[count - 1] && !*field[count - 1])
        count--;
    for (size_t i = 0; i < count; i++) {
        str_add(to, i ? ":" : "");
        str_add(to, field[i]);
    }
}

static void put_given(struct str *to, const char *name, const char *text)
{
    if (text[0])
        json_put_text(to, name, text);
}

static void put_places(struct str *to, const char *name, const struct places *p)
{
    if (p->count == 0)
        return;
    json_open(to, name, '[');
    for (int32_t i = 0; i < p->count; i++)
        json_put_text(to, NULL, p->name[i]);
    json_close(to, ']');
}

static void put_where(struct str *to, const struct request *q, const struct message_defaults *defaults)
{
    if (!defaults || !default_sizes(q, defaults)) {
        if (q->vm_sizes.count == 1)
            json_put_text(to, "vm_size", q->vm_sizes.name[0]);
        else
            put_places(to, "vm_sizes", &q->vm_sizes);
    }
    if (!defaults || !default_regions(q, defaults))
        put_places(to, "regions", &q->regions);
    if (!defaults || q->spot != defaults->spot)
        json_put_text(to, "spot", spot_name(q->spot));
}

static void write_json(struct str *to, const struct request *q, const struct message_defaults *defaults, bool classes)
{
    json_open(to, NULL, '{');
    json_put_int(to, "v", 1);
    json_put_text(to, "action", "train");
    json_put_text(to, "dataset", q->zip);
    put_given(to, "dataset_sha256", q->dataset_sha256);
    put_given(to, "job_id", q->job_id_given ? q->job_name : "");
    put_where(to, q, defaults);
    if (!defaults || q->max_minutes != defaults->max_minutes)
        json_put_number(to, "max_hours", q->max_minutes / 60.0);
    if (q->max_micro_usd > 0)
        json_put_number(to, "max_cost", (double)q->max_micro_usd / (double)MONEY_DOLLAR);
    if (classes && q->classes_count > 0) {
        json_open(to, "classes", '[');
        for (int32_t i = 0; i < q->classes_count; i++)
            json_put_text(to, NULL, q->classes[i]);
        json_close(to, ']');
    }
    if (!defaults || q->epochs != defaults->epochs)
        json_put_int(to, "epochs", q->epochs);
    if (q->task != TASK_DETECTION)
        json_put_text(to, "task", task_name(q->task));
    put_given(to, "model", q->model_name);
    if (q->model > 1)
        json_put_int(to, "model", q->model);
    if (!q->pretrained)
        json_put_bool(to, "pretrained", false);
    put_given(to, "continue_from", q->continue_from);
    put_given(to, "line", str_is(q->line, LINE_DEFAULT) ? "" : q->line);
    if (!default_split(q)) {
        json_open(to, "split", '{');
        json_put_number(to, "train", q->split_train);
        json_put_int(to, "seed", q->split_seed);
        json_put_text(to, "group", q->split_video ? "video" : "none");
        json_close(to, '}');
    }
    if (says_publish(q))
        json_put_text(to, "publish", publish_name(q->publish));
    put_given(to, "requested_by", q->requested_by);
    put_given(to, "note", q->note);
    if (q->force)
        json_put_bool(to, "force", true);
    json_close(to, '}');
}

static void write_line(struct str *to, const struct request *q, const struct message_defaults *defaults, bool classes)
{
    classes = classes && q->classes_count > 0 && !(defaults && default_classes(q, defaults));
    if (fits_colon(q, defaults, classes))
        write_colon(to, q, defaults, classes);
    else
        write_json(to, q, defaults, classes);
}

void message_line(const struct request *r, const struct message_defaults *defaults, struct str *to)
{
    write_line(to, r, defaults, true);
}

static bool secret_classes(const struct request *q)
{
    for (int32_t i = 0; i < q->classes_count; i++)
        if (text_has_secret(q->classes[i]))
            return true;
    return false;
}

/* Whose line a rollback means is certain when it is named, or when nothing is wrong that could have named it. */
static bool line_is_certain(const struct message *m)
{
    static const char *const other[] = {"v", "action", "version"};
    bool certain = true;
    for (int32_t i = 0; i < m->faults && certain; i++) {
        certain = false;
        for (size_t k = 0; k < sizeof other / sizeof *other; k++)
            certain = certain || str_is(m->fault[i].field, other[k]);
    }
    return certain || !str_is(m->request.line, LINE_DEFAULT);
}

static void put_rollback(struct str *to, const struct message *m)
{
    put_given(to, "line", str_is(m->request.line, LINE_DEFAULT) ? "" : m->request.line);
    if (m->version > 0)
        json_put_int(to, "version", m->version);
}

/* About a job, by the id as it was typed, or about a line. Without a good one: the question which jobs there are. */
static void write_action(struct message *m, enum message_action action, const char *job_id)
{
    AUTO_STR line = STR_MAX(sizeof m->corrected - 1);
    if (action == ACTION_ROLLBACK ? !line_is_certain(m) : !job_id[0])
        action = ACTION_STATUS;
    json_open(&line, NULL, '{');
    json_put_int(&line, "v", 1);
    json_put_text(&line, "action", message_action_name(action));
    put_given(&line, "job_id", job_id);
    if (action == ACTION_ROLLBACK)
        put_rollback(&line, m);
    if (action == ACTION_EXTEND)
        json_put_number(&line, "max_hours", (m->extend_minutes > 0 ? m->extend_minutes : m->defaults->max_job_minutes) / 60.0);
    json_close(&line, '}');
    str_copy(m->corrected, sizeof m->corrected, str_c(&line));
}

static void note_without_classes(struct message *m)
{
    const char *text = "the corrected line leaves the class names out: add them again";
    int32_t last = m->notes_count - 1;
    if (last >= 0 && str_is(m->notes[last], text))
        return;
    if (m->notes_count < (int32_t)(sizeof m->notes / sizeof *m->notes))
        last = m->notes_count++;
    str_copy(m->notes[last], sizeof m->notes[0], text);
}

void suggest_line(struct message *m)
{
    bool about_data = m->request.zip[0] || m->corrected_zip[0];
    if (m->action != ACTION_TRAIN && (m->action != ACTION_NONE || !about_data)) {
        write_action(m, m->action == ACTION_NONE ? ACTION_STATUS : m->action, m->corrected_job_id);
        return;
    }
    struct request q = m->request; /* borrows the classes */
    const char *zip = m->corrected_zip[0] ? m->corrected_zip : q.zip[0] ? q.zip : ZIP_EXAMPLE;
    str_copy(q.zip, sizeof q.zip, text_has_secret(zip) ? ZIP_EXAMPLE : zip);
    str_copy(q.job_name, sizeof q.job_name, m->corrected_job_id);
    q.job_id_given = q.job_name[0] != '\0';
    if (m->corrected_line[0])
        str_copy(q.line, sizeof q.line, m->corrected_line);
    if (m->corrected_fresh)
        q.continue_from[0] = '\0';
    if (m->corrected_minutes > 0)
        q.max_minutes = m->corrected_minutes;
    if (m->corrected_uncapped)
        q.max_micro_usd = 0;
    if (m->corrected_task)
        q.task = TASK_DETECTION;
    if (m->corrected_task || m->corrected_model) {
        q.model = 1;
        q.model_name[0] = '\0';
    }
    q.force = q.force || m->corrected_force;
    bool classes = !secret_classes(&q), fits = false;
    if (text_has_secret(q.note) || text_has_secret(q.requested_by))
        q.note[0] = q.requested_by[0] = '\0';
    for (int tries = 0; tries < 3 && !fits; tries++) {
        AUTO_STR line = STR_MAX(sizeof m->corrected - 1);
        write_line(&line, &q, m->defaults, classes);
        fits = !line.failed;
        str_copy(m->corrected, sizeof m->corrected, fits ? str_c(&line) : ZIP_EXAMPLE);
        if (fits)
            break;
        classes = classes && tries < 1;
        q.note[0] = q.requested_by[0] = '\0';
    }
    if (!classes)
        note_without_classes(m);
}

void message_next_job_id(const char *job_id, char out[JOB_ID_MAX])
{
    char next[JOB_ID_MAX];
    snprintf(next, sizeof next, "%.62s-2", job_id);
    if (str_is(next, job_id))
        next[strlen(next) - 1] = '3';
    str_copy(out, JOB_ID_MAX, next);
}

void message_default_job_id(const char *zip, const char *message_id, char out[JOB_ID_MAX])
{
    char stem[STEM_MAX + 1] = "", hex[SHA256_HEX] = "00000000";
    size_t len = 0, end = strlen(zip) - (str_ends_nocase(zip, ".zip") ? strlen(".zip") : 0);
    for (size_t i = 0; i < end && len < STEM_MAX; i++) {
        char c = zip[i] >= 'A' && zip[i] <= 'Z' ? (char)(zip[i] - 'A' + 'a') : zip[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (alphanumeric || (len > 0 && stem[len - 1] != '.' && (c == '.' || c == '_')))
            stem[len++] = c;
        else if (len > 0 && stem[len - 1] != '-') /* runs of others, and the bytes of one character, become one dash */
            stem[len++] = '-';
    }
    while (len > 0 && strchr("-._", stem[len - 1]))
        len--;
    stem[len] = '\0';
    (void)sha256_of(message_id, strlen(message_id), hex);
    snprintf(out, JOB_ID_MAX, "%s-%.8s", len > 0 ? stem : "job", hex);
}

void message_release_job_id(enum message_action action, const char *message_id, char out[JOB_ID_MAX])
{
    char hex[SHA256_HEX] = "00000000";
    (void)sha256_of(message_id, strlen(message_id), hex);
    snprintf(out, JOB_ID_MAX, "%s-%.8s", message_action_name(action), hex);
}

/* A line of its own for this task: "<line>-<task>". */
static void other_line(const struct request *q, char out[LINE_MAX_])
{
    char task[32];
    snprintf(task, sizeof task, "-%s", task_name(q->task));
    for (char *p = task; *p; p++)
        if (*p == '_')
            *p = '-';
    if (str_ends_nocase(q->line, task))
        str_copy(task, sizeof task, "-2");
    snprintf(out, LINE_MAX_, "%.*s%s", (int)(LINE_MAX_ - 1 - strlen(task)), q->line, task);
}

void message_fault(struct message *m, const char *code, const char *field, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rules_add(m, code, field, text);
    struct request *q = &m->request;
    m->corrected_force = m->corrected_force || str_is(code, "E11");
    if (str_is(field, "job_id") && m->action != ACTION_TRAIN) {
        m->corrected_job_id[0] = '\0';
    } else if (str_is(field, "job_id")) {
        char next[JOB_ID_MAX];
        message_next_job_id(m->corrected_job_id[0] ? m->corrected_job_id : q->job_name, next);
        str_copy(m->corrected_job_id, sizeof m->corrected_job_id, next);
    } else if (str_is(field, "continue_from") || str_is(field, "refered_job_id")) {
        m->corrected_fresh = true;
    } else if (str_is(field, "line")) {
        other_line(q, m->corrected_line);
    } else if (str_is(field, "task") || str_is(field, "dl_type")) {
        m->corrected_task = true;
    } else if (str_is(field, "model")) {
        m->corrected_model = true;
    }
    if (m->default_job_id[0]) {
        str_copy(q->job_id, sizeof q->job_id, m->default_job_id);
        str_copy(q->job_name, sizeof q->job_name, m->default_job_id);
        q->job_id_given = false;
    }
    suggest_line(m);
}

void message_fault_again(struct message *m, const char *job_name, int64_t succeeded_s)
{
    char when[DATE_ISO];
    date_iso(succeeded_s, when);
    message_fault(m, "E11", "dataset",
                  "the same data again: job `%s` succeeded on %s with the same zip and the same request; send `force` to run it again",
                  job_name, when);
}
