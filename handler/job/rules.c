#include "job/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "job/checks.h"
#include "job/decode.h"
#include "job/text.h"
#include "job/zipname.h"

#define SHELL "$;&|<>\"'`*?(){}[]!\\"
#define JOB_ID                                                                                                                             \
    "letters, digits, `.` `_` `-`, first a letter or digit, no two dots in a row, no dot at the end, at most 64, not `nothing` or `auto`"

#define TRAIN (1u << ACTION_TRAIN)
#define ROLLBACK (1u << ACTION_ROLLBACK)
#define EVERY (~0u)

static const struct rule table[RULES + 1] = {
    [RULE_V] = {"v", NULL, 0, TYPE_NUMBER, true, EVERY, "E23", SHELL, check_v, "1", "1"},
    [RULE_ACTION] = {"action", NULL, 0, TYPE_TEXT, true, EVERY, "E22", SHELL, check_action, "train",
                     "train, status, cancel, extend, retry, publish, rollback"},
    [RULE_ZIP] = {"dataset", "zip", 1, TYPE_TEXT, false, TRAIN, "E02", NULL, check_zip, NULL,
                  "a file name in share `train` that ends in .zip, at most 255 bytes, none of " ZIP_FORBIDDEN
                  ", no `..`, no `.` or `-` in front"},
    [RULE_SHA256] = {"dataset_sha256", NULL, 0, TYPE_TEXT, true, TRAIN, "E21", SHELL, check_sha256, "not checked", "64 hexadecimal digits"},
    [RULE_JOB_ID] = {"job_id", NULL, 2, TYPE_TEXT, true, EVERY & ~ROLLBACK, "E10", SHELL, check_job_id,
                     "<zip stem>-<8 hex of the message's Id>", JOB_ID},
    [RULE_VM_SIZE] = {"vm_size", NULL, 3, TYPE_TEXT, true, TRAIN, "E05", SHELL, check_vm_size, "VM_SIZES, else VM_SIZE",
                      "a size of VM_SIZES"},
    [RULE_VM_SIZES] = {"vm_sizes", NULL, 0, TYPE_LIST, true, TRAIN, "E05", SHELL, check_vm_size, "VM_SIZES, else VM_SIZE",
                       "1 to 5 different sizes of VM_SIZES, in the order in which they are tried"},
    [RULE_REGIONS] = {"regions", NULL, 0, TYPE_LIST, true, TRAIN, "E25", SHELL, check_region, "REGIONS, else AZURE_LOCATION",
                      "1 to 5 different names of Azure regions (lower case letters and digits), in the order in which they are tried"},
    [RULE_SPOT] = {"spot", NULL, 0, TYPE_TEXT, true, TRAIN, "E26", SHELL, check_spot, "SPOT (never)", "never, prefer, only"},
    [RULE_MAX_HOURS] = {"max_hours", NULL, 0, TYPE_NUMBER, true, TRAIN | 1u << ACTION_EXTEND, "E18", SHELL, check_max_hours,
                        "MAX_HOURS (8)", "a number from 0.5 to 48, at most MAX_JOB_HOURS (24)"},
    [RULE_MAX_COST] = {"max_cost", NULL, 0, TYPE_NUMBER, true, TRAIN, "E15", SHELL, check_max_cost, "MAX_JOB_COST (no limit)",
                       "US dollars such as 20 or 12.5, at most MAX_JOB_COST"},
    [RULE_CLASSES] = {"classes", NULL, 4, TYPE_LIST, false, TRAIN, "E06", NULL, check_classes, "CLASSES, else read from the zip",
                      "1 to 200 different names of 1 to 64 characters, none of , \" $ ` and no : in the colon form"},
    [RULE_EPOCHS] = {"epochs", NULL, 5, TYPE_NUMBER, true, TRAIN, "E07", SHELL, check_epochs, "EPOCHS (20)",
                     "a whole number from 1 to EPOCHS_MAX (1000), digits only"},
    [RULE_TASK] = {"task", "dl_type", 6, TYPE_TEXT | TYPE_NUMBER, true, TRAIN, "E08", SHELL, check_task, "2 (detection)",
                   "1 classification, 2 detection, 3 instance_segmentation"},
    [RULE_MODEL] = {"model", "model_type", 7, TYPE_TEXT | TYPE_NUMBER, true, TRAIN, "E08", SHELL, check_model, "1",
                    "1 to 4 for classification, 1 to 3 for detection, 1 to 2 for instance_segmentation, or a model's name"},
    [RULE_PRETRAINED] = {"pretrained", NULL, 0, TYPE_BOOL, true, TRAIN, "E14", SHELL, check_pretrained, "true", "true or false"},
    [RULE_CONTINUE] = {"continue_from", "refered_job_id", 8, TYPE_TEXT, true, TRAIN, "E09", SHELL, check_continue, "nothing",
                       "the job_id of a job that succeeded, `auto` (the job of the line's current model), `nothing`, or empty"},
    [RULE_LINE] = {"line", NULL, 0, TYPE_TEXT, true, TRAIN | ROLLBACK, "E19", SHELL, check_line, LINE_DEFAULT,
                   "letters, digits and `-` (not first or last), at most 40"},
    [RULE_VERSION] = {"version", NULL, 0, TYPE_NUMBER, true, ROLLBACK, "E28", SHELL, check_version, "the one before the current",
                      "a whole number from 1"},
    [RULE_SPLIT] = {"split", NULL, 0, TYPE_OBJECT, false, TRAIN, "E20", NULL, NULL, "7:3 by video", "an object of train, seed, group"},
    [RULE_SPLIT_TRAIN] = {"split.train", NULL, 0, TYPE_NUMBER, true, TRAIN, "E20", SHELL, check_split_train, "0.7",
                          "a number from 0.5 to 0.95"},
    [RULE_SPLIT_SEED] = {"split.seed", NULL, 0, TYPE_NUMBER, true, TRAIN, "E20", SHELL, check_split_seed, "1",
                         "a whole number from 0 to 2147483647"},
    [RULE_SPLIT_GROUP] = {"split.group", NULL, 0, TYPE_TEXT, true, TRAIN, "E20", SHELL, check_split_group, "video", "video, none"},
    [RULE_PUBLISH] = {"publish", NULL, 0, TYPE_TEXT, true, TRAIN, "E27", SHELL, check_publish, "if_better", "if_better, always, never"},
    [RULE_REQUESTED_BY] = {"requested_by", NULL, 0, TYPE_TEXT, false, TRAIN, "E24", NULL, check_words, "empty", "at most 64 bytes of text"},
    [RULE_NOTE] = {"note", NULL, 0, TYPE_TEXT, false, TRAIN, "E24", NULL, check_words, "empty", "at most 200 bytes of text"},
    [RULE_FORCE] = {"force", NULL, 0, TYPE_BOOL, true, TRAIN, "E14", SHELL, check_force, "false", "true or false"},
};

static const struct rules_code codes[] = {
    {"E01", "the message is empty or not understood"},
    {"E02", "the dataset is missing or not a .zip"},
    {"E03", "the dataset is a path or a web address"},
    {"E04", "a full-width character where only half-width ones are allowed"},
    {"E05", "the VM size is not allowed"},
    {"E06", "the class names are not allowed"},
    {"E07", "the number of epochs is not allowed"},
    {"E08", "the task or model type is not known"},
    {"E09", "the job to continue from cannot be used"},
    {"E10", "the job_id is missing, not allowed, or belongs to another request"},
    {"E11", "the same was trained before"},
    {"E12", "too many fields"},
    {"E13", "characters that are not allowed"},
    {"E14", "JSON that cannot be read, an unknown, repeated or reserved key, or a value of another type"},
    {"E15", "the job may cost more than is allowed, or max_cost is not allowed"},
    {"E16", "the dataset is not in share train"},
    {"E18", "max_hours is missing or not allowed"},
    {"E19", "the line's name is not allowed, or the line trains another task"},
    {"E20", "the split is not allowed"},
    {"E21", "the sha256 is not one"},
    {"E22", "the action is not known"},
    {"E23", "the version of the message is not known"},
    {"E24", "a text is too long"},
    {"E25", "a region's name is not one"},
    {"E26", "the word for spot is not known"},
    {"E27", "the word for publish is not known"},
    {"E28", "the version is not one"},
};

const struct rule *rules_field(size_t i)
{
    return i < RULES ? &table[i] : NULL;
}

const struct rules_code *rules_code(size_t i)
{
    return i < sizeof codes / sizeof *codes ? &codes[i] : NULL;
}

enum rule_id rules_find(const char *key)
{
    enum rule_id id = 0;
    while (id < RULES && !str_is(key, table[id].name) && !(table[id].alias && str_is(key, table[id].alias)))
        id++;
    return id;
}

const char *rules_nearest(const char *key, int *distance)
{
    const char *best = table[0].name;
    *distance = 1000;
    for (size_t i = 0; i < 2 * RULES; i++) {
        const char *name = i < RULES ? table[i].name : table[i - RULES].alias;
        bool alike = name && (strchr(key, '.') != NULL) == (strchr(name, '.') != NULL);
        int far = alike ? text_distance(key, name) : 1000;
        if (far < *distance) {
            *distance = far;
            best = name;
        }
    }
    return best;
}

const char *message_action_name(enum message_action a)
{
    static const char *const name[ACTIONS] = {"", "train", "status", "cancel", "extend", "retry", "publish", "rollback"};
    return a > ACTION_NONE && a < ACTIONS ? name[a] : name[ACTION_NONE];
}

bool rules_reserved(const char *key)
{
    static const char *const name[] = {"Id",           "DequeueCount", "PopReceipt",  "InsertionTime", "ExpirationTime", "NextVisibleTime",
                                       "QueueTrigger", "sys",          "RetryContext"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (str_is_nocase(key, name[i]))
            return true;
    return false;
}

void rules_add(struct message *m, const char *code, const char *field, const char *text)
{
    if (m->faults >= FAULTS_MAX)
        return;
    struct fault *f = &m->fault[m->faults++];
    str_copy(f->code, sizeof f->code, code);
    str_copy(f->field, sizeof f->field, field);
    str_copy(f->text, sizeof f->text, text);
}

void rules_fault(struct reading *r, enum rule_id id, const char *code, const char *format, ...)
{
    if (r->silent)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *key = id < RULES ? r->value[id].key : "";
    rules_add(r->m, code, key ? key : table[id].name, text);
}

void rules_note(struct reading *r, const char *text)
{
    struct message *m = r->m;
    for (int32_t i = 0; i < m->notes_count; i++)
        if (str_is(m->notes[i], text))
            return;
    if (m->notes_count < (int32_t)(sizeof m->notes / sizeof *m->notes))
        str_copy(m->notes[m->notes_count++], sizeof m->notes[0], text);
}

void rules_defaults(struct reading *r)
{
    struct request *q = &r->m->request;
    check_default_sizes(r);
    check_default_regions(r);
    q->spot = r->defaults->spot;
    str_copy(q->line, sizeof q->line, LINE_DEFAULT);
    q->epochs = r->defaults->epochs;
    q->task = TASK_DETECTION;
    q->model = 1;
    q->pretrained = true;
    q->max_minutes = r->defaults->max_minutes;
    q->split_train = TRAIN_DEFAULT;
    q->split_seed = SEED_DEFAULT;
    q->split_video = true;
    q->publish = PUBLISH_IF_BETTER;
    check_default_classes(r);
}

/* Full-width characters in a plain field: digits of numbers are folded with a note, others are a fault and read as half-width for the
 * corrected line. */
static void fold(struct reading *r, enum rule_id id, char *text)
{
    if (r->colon && (table[id].types & TYPE_NUMBER) && text_fold(text, true))
        rules_note(r, "full-width digits were read as 0 to 9");
    uint32_t full = 0;
    size_t place = text_find_full(text, &full);
    if (place == 0)
        return;
    const char *p = text;
    uint32_t c = 0;
    for (size_t i = 1; i < place; i++)
        p += text_next(p, &c);
    rules_fault(r, id, "E04", "character %zu, `%.*s`, is full-width (U+%04X); type it in half width", place, (int)text_next(p, &c), p,
                (unsigned)full);
    text_fold(text, false);
    r->silent = true;
}

static void run_text(struct reading *r, enum rule_id id, char *text)
{
    const struct rule *rule = &table[id];
    r->silent = r->value[id].silent;
    if (rule->plain)
        fold(r, id, text);
    bool control = text_has_control(text);
    if (rule->check != check_zip && (control || (rule->forbidden && strpbrk(text, rule->forbidden)))) {
        char shown[ECHO_MAX];
        text_echo(text, shown, sizeof shown);
        rules_fault(r, id, "E13", "`%s` has characters that are not allowed; nothing is ever passed through a shell; allowed: %s", shown,
                    rule->allowed);
        if (rule->forbidden)
            return;
        text_blank_controls(text);
        text = text_trim(text);
        r->silent = true;
    }
    rule->check(r, id, text);
}

static void run_name(struct reading *r, enum rule_id id, const char *name, size_t len)
{
    AUTO_STR text = STR_MAX(MESSAGE_BYTES_MAX);
    str_add_n(&text, name, len);
    r->failed = r->failed || text.failed;
    if (!r->failed)
        run_text(r, id, text_trim(text.p));
}

static void run_names(struct reading *r, enum rule_id id, const struct json *list)
{
    struct places seen = {0}; /* as they came */
    size_t count = json_len(list);
    if (count == 0 || count > PLACES_MAX)
        rules_fault(r, id, table[id].code, "%zu names; allowed: %s", count, table[id].allowed);
    for (size_t i = 0; i < count && i < PLACES_MAX && !r->failed; i++) {
        const char *name = json_text(json_at(list, i));
        char shown[ECHO_MAX];
        r->silent = r->value[id].silent;
        text_echo(name ? name : "", shown, sizeof shown);
        if (name && places_has(&seen, name))
            rules_fault(r, id, table[id].code, "`%s` is there twice; allowed: %s", shown, table[id].allowed);
        else if (name)
            run_name(r, id, name, strlen(name));
        (void)places_add(&seen, name);
    }
}

/* Sizes or regions, one after the other; where a text came instead of a list (said already), its names. */
static void run_list(struct reading *r, enum rule_id id)
{
    const struct value *v = &r->value[id];
    struct places *p = id == RULE_VM_SIZES ? &r->m->request.vm_sizes : &r->m->request.regions;
    *p = (struct places){0};
    if (v->list)
        run_names(r, id, v->list);
    else
        for (const char *at = v->text.p ? v->text.p : ""; *at && !r->failed;) {
            size_t len = strcspn(at, ",");
            run_name(r, id, at, len);
            at += len + (at[len] ? 1 : 0);
        }
    if (p->count == 0)
        (id == RULE_VM_SIZES ? check_default_sizes : check_default_regions)(r);
}

static void run(struct reading *r, enum rule_id id)
{
    struct value *v = &r->value[id];
    char *text = v->text.p ? text_trim(v->text.p) : NULL;
    r->silent = v->silent;
    if (id == RULE_CLASSES)
        check_classes(r, id, text);
    else if (table[id].types == TYPE_LIST)
        run_list(r, id);
    else if (text && *text)
        run_text(r, id, text);
}

/* A key of another action: which ones it belongs to, and what goes with this one. */
static void other_action(struct reading *r, enum rule_id id)
{
    AUTO_STR owner = STR_MAX(256);
    AUTO_STR keys = STR_MAX(256);
    enum message_action now = r->m->action;
    for (enum message_action a = ACTION_TRAIN; a < ACTIONS; a++)
        if (table[id].actions >> a & 1u)
            str_addf(&owner, "%s%s", owner.len ? " and " : "", message_action_name(a));
    for (enum rule_id k = 0; k < RULES; k++)
        if (table[k].actions >> now & 1u)
            str_addf(&keys, "%s%s", keys.len ? ", " : "", table[k].name);
    rules_fault(r, id, "E14", "this key belongs to action %s and does not go with action %s; allowed with %s: %s", str_c(&owner),
                message_action_name(now), message_action_name(now), str_c(&keys));
}

void rules_run(struct reading *r)
{
    for (enum rule_id id = 0; id < RULES && !r->failed; id++) {
        if (!r->value[id].given || !table[id].check)
            continue;
        r->silent = false;
        if (id > RULE_ACTION && r->m->action != ACTION_NONE && !(table[id].actions >> r->m->action & 1u))
            other_action(r, id);
        else if (id == RULE_VM_SIZES && r->value[RULE_VM_SIZE].given && !r->value[RULE_VM_SIZE].silent)
            rules_fault(r, id, "E14", "`vm_sizes` and `vm_size` are the same field; send one of them");
        else
            run(r, id);
    }
    r->silent = false;
}
