#include "job/checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/models.h"
#include "job/money.h"
#include "job/text.h"
#include "job/zipname.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char *echo(const char *text, char shown[ECHO_MAX])
{
    text_echo(text, shown, ECHO_MAX);
    return shown;
}

static bool only(const char *text, const char *characters)
{
    return text[strspn(text, characters)] == '\0';
}

/* Digits only, from least to most; else `out` is untouched. */
static bool whole(const char *text, int64_t least, int64_t most, int64_t *out)
{
    if (!*text || !only(text, DIGITS) || strlen(text) > 15)
        return false;
    int64_t value = strtoll(text, NULL, 10);
    if (value < least || value > most)
        return false;
    *out = value;
    return true;
}

void check_v(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    if (!str_is(text, "1"))
        rules_fault(r, id, "E23", "`%s` is not known; allowed: 1", echo(text, shown));
}

void check_action(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    struct message *m = r->m;
    enum message_action nearest = ACTION_TRAIN;
    int best = 1000;
    for (enum message_action a = ACTION_TRAIN; a < ACTIONS; a++) {
        int far = str_is(text, message_action_name(a)) ? -1 : text_distance(text, message_action_name(a));
        if (far < best) {
            best = far;
            nearest = a;
        }
    }
    m->action = best <= MISSPELT ? nearest : ACTION_NONE;
    if (best < 0)
        return;
    rules_fault(r, id, "E22", "`%s` is not known; %s `%s`; allowed: %s", echo(text, shown),
                m->action != ACTION_NONE ? "did you mean" : "the nearest is", message_action_name(nearest), rules_field(id)->allowed);
}

void check_zip(struct reading *r, enum rule_id id, const char *text)
{
    if (zipname_valid(text)) {
        str_copy(r->m->request.zip, ZIP_MAX, text);
        return;
    }
    struct zipname_fault fault = {0};
    zipname_judge(text, &fault);
    str_copy(r->m->corrected_zip, ZIP_MAX, fault.meant);
    rules_fault(r, id, fault.code, "%s; send e.g. `%s`", fault.text, fault.meant);
}

void check_sha256(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    if (strlen(text) != 64 || !only(text, DIGITS "abcdefABCDEF")) {
        rules_fault(r, id, "E21", "`%s` is not a sha256; allowed: %s", echo(text, shown), rules_field(id)->allowed);
        return;
    }
    str_copy(r->m->request.dataset_sha256, sizeof r->m->request.dataset_sha256, text);
    str_lower(r->m->request.dataset_sha256);
}

bool rules_job_id(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len < JOB_ID_MAX && only(text, LOWER UPPER DIGITS "._-") && !strchr("._-", text[0]) && text[len - 1] != '.' &&
           !strstr(text, "..") && !str_is_nocase(text, "nothing") && !str_is_nocase(text, "auto");
}

void check_job_id(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    struct request *q = &r->m->request;
    if (!rules_job_id(text)) {
        const char *code = only(text, LOWER UPPER DIGITS "._-") ? "E10" : "E13";
        rules_fault(r, id, code, "`%s` is not a job_id; allowed: %s", echo(text, shown), rules_field(id)->allowed);
        return;
    }
    if (r->m->action != ACTION_TRAIN && r->m->action != ACTION_NONE) {
        str_copy(r->m->corrected_job_id, JOB_ID_MAX, text);
        str_copy(r->m->target_job_id, JOB_ID_MAX, text);
        str_lower(r->m->target_job_id);
        return;
    }
    str_copy(q->job_name, JOB_ID_MAX, text);
    str_copy(q->job_id, JOB_ID_MAX, text);
    str_lower(q->job_id);
    q->job_id_given = true;
}

void check_max_hours(struct reading *r, enum rule_id id, const char *text)
{
    char *end = NULL, shown[ECHO_MAX];
    double hours = only(text, DIGITS ".") ? strtod(text, &end) : -1;
    int32_t most = r->defaults->max_job_minutes;
    int32_t *to = r->m->action == ACTION_EXTEND ? &r->m->extend_minutes : &r->m->request.max_minutes;
    bool number = end && *end == '\0';
    if (number && hours >= 0.5 && hours <= 48 && hours * 60 <= most + 0.5) {
        *to = (int32_t)(hours * 60 + 0.5);
        return;
    }
    if (number)
        *to = hours < 0.5 ? 30 : most < 48 * 60 ? most : 48 * 60;
    rules_fault(r, id, "E18", "`%s` is not allowed; allowed: a number from 0.5 to %g", echo(text, shown),
                (most < 48 * 60 ? most : 48 * 60) / 60.0);
}

void check_max_cost(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    int64_t cost = 0, most = r->defaults->max_job_micro_usd;
    AUTO_STR limit = STR_MAX(32);
    if (money_parse(text, &cost) && (most == 0 || cost <= most)) {
        r->m->request.max_micro_usd = cost;
        return;
    }
    money_add(&limit, most > 0 ? most : MONEY_MAX);
    rules_fault(r, id, "E15", "`%s` is not allowed; allowed: US dollars such as 20 or 12.5, at most %s", echo(text, shown), str_c(&limit));
}

void check_epochs(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    int64_t epochs = 0, most = r->defaults->epochs_max;
    if (whole(text, 1, most, &epochs)) {
        r->m->request.epochs = (int32_t)epochs;
        return;
    }
    rules_fault(r, id, "E07", "`%s` is not allowed; allowed: a whole number from 1 to %d, digits only", echo(text, shown), (int)most);
}

void check_task(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    int64_t number = 0;
    enum task task = whole(text, TASK_CLASSIFICATION, TASK_INSTANCE_SEGMENTATION, &number) ? (enum task)number : task_parse(text);
    if (task != TASK_NONE)
        r->m->request.task = task;
    else
        rules_fault(r, id, "E08", "`%s` is not known; allowed: %s", echo(text, shown), rules_field(id)->allowed);
}

void check_model(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    int64_t number = 0;
    struct request *q = &r->m->request;
    const struct model_kind *kind = NULL, *other = models_by_name(TASK_NONE, text);
    AUTO_STR names = STR_MAX(512);
    if (whole(text, 1, models_numbers(q->task), &number))
        kind = models_by_number(q->task, (int32_t)number);
    else
        kind = models_by_name(q->task, text);
    if (kind) { /* a name that is the same as a number is that number, so that the requests are the same */
        q->model = kind->number;
        str_copy(q->model_name, sizeof q->model_name, kind->number == 0 ? kind->name : "");
        return;
    }
    models_names(q->task, &names);
    if (other)
        str_addf(&names, "; `%s` goes with task %s", other->name, task_name(other->task));
    rules_fault(r, id, "E08", "`%s` is not allowed; allowed for %s (%d): 1 to %d, or %s", echo(text, shown), task_name(q->task),
                (int)q->task, (int)models_numbers(q->task), str_c(&names));
}

void check_pretrained(struct reading *r, enum rule_id id, const char *text)
{
    (void)id; /* as with force */
    r->m->request.pretrained = str_is(text, "true");
}

void check_continue(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX], *to = r->m->request.continue_from;
    if (str_is_nocase(text, "nothing"))
        return;
    if (!rules_job_id(text) && !str_is_nocase(text, "auto")) {
        rules_fault(r, id, "E09", "`%s` is not a job_id; allowed: %s", echo(text, shown), rules_field(id)->allowed);
        return;
    }
    str_copy(to, JOB_ID_MAX, text);
    str_lower(to);
}

/* What may be meant: each run of other characters is a dash. "" when nothing is left. */
static void nearest_line(const char *text, char out[LINE_MAX_])
{
    size_t len = 0;
    for (const char *p = text; *p && len < LINE_MAX_ - 1; p++) {
        if (strchr(LOWER UPPER DIGITS, *p))
            out[len++] = *p;
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    str_lower(out);
}

void check_line(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX], *line = r->m->request.line;
    size_t len = strlen(text);
    if (len < LINE_MAX_ && only(text, LOWER UPPER DIGITS "-") && text[0] != '-' && text[len - 1] != '-') {
        str_copy(line, LINE_MAX_, text);
        str_lower(line);
        return;
    }
    nearest_line(text, line); /* for the corrected line: the default one belongs to other devices */
    if (!line[0])
        str_copy(line, LINE_MAX_, LINE_DEFAULT);
    rules_fault(r, id, "E19", "`%s` is not a line; allowed: %s", echo(text, shown), rules_field(id)->allowed);
}

void check_version(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    if (!whole(text, 1, INT32_MAX, &r->m->version))
        rules_fault(r, id, "E28", "`%s` is not a version; allowed: %s", echo(text, shown), rules_field(id)->allowed);
}

void check_split_train(struct reading *r, enum rule_id id, const char *text)
{
    char *end = NULL, shown[ECHO_MAX];
    double part = only(text, DIGITS ".") ? strtod(text, &end) : -1;
    if (end && *end == '\0' && part >= 0.5 && part <= 0.95)
        r->m->request.split_train = part;
    else
        rules_fault(r, id, "E20", "`%s` is not allowed; allowed: %s", echo(text, shown), rules_field(id)->allowed);
}

void check_split_seed(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    if (!whole(text, 0, INT32_MAX, &r->m->request.split_seed))
        rules_fault(r, id, "E20", "`%s` is not allowed; allowed: %s", echo(text, shown), rules_field(id)->allowed);
}

void check_split_group(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    r->m->request.split_video = text_distance(text, "none") > MISSPELT; /* misspelt: for the corrected line */
    if (!str_is(text, "video") && !str_is(text, "none"))
        rules_fault(r, id, "E20", "`%s` is not known; allowed: %s", echo(text, shown), rules_field(id)->allowed);
}

void check_force(struct reading *r, enum rule_id id, const char *text)
{
    (void)id; /* of the right type it is one of the two; else that was said */
    r->m->request.force = str_is(text, "true");
}

void check_publish(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    enum publish_policy *to = &r->m->request.publish;
    if (publish_parse(text, to))
        return;
    for (enum publish_policy p = PUBLISH_IF_BETTER; p <= PUBLISH_NEVER; p++)
        if (text_distance(text, publish_name(p)) <= MISSPELT)
            *to = p; /* for the corrected line: `Never` must not become the default */
    rules_fault(r, id, "E27", "`%s` is not known; allowed: %s", echo(text, shown), rules_field(id)->allowed);
}

void check_words(struct reading *r, enum rule_id id, const char *text)
{
    struct request *q = &r->m->request;
    char *to = id == RULE_NOTE ? q->note : q->requested_by;
    size_t size = id == RULE_NOTE ? sizeof q->note : sizeof q->requested_by;
    str_copy(to, size, text);
    if (strlen(text) >= size)
        rules_fault(r, id, "E24", "%zu bytes of text; allowed: at most %zu", strlen(text), size - 1);
}
