#include "controller/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/tell.h"

#define GROUPS_MAX 1000 /* leftovers in one round; the rest waits for the next */

struct leftovers {
    const char *prefix; /* "<group_prefix>-" */
    char (*group)[GROUP_MAX];
    size_t count;
};

static void leftovers_done(struct leftovers *l)
{
    free(l->group);
}

static bool keep_ours(void *ctx, const char *group)
{
    struct leftovers *l = ctx;

    if (strncasecmp(group, l->prefix, strlen(l->prefix)) == 0 && strlen(group) < GROUP_MAX)
        str_copy(l->group[l->count++], GROUP_MAX, group);
    return l->count < GROUPS_MAX;
}

/* Its tags as they are now, and a name that follows from them. */
static bool read_tags(const struct controller *c, const struct arm_group *g, const char *group, char job_id[JOB_ID_MAX], int32_t *attempt)
{
    char slug[SLUG_MAX], name[GROUP_MAX];

    str_copy(job_id, JOB_ID_MAX, arm_group_tag(g, "job"));
    *attempt = (int32_t)strtol(arm_group_tag(g, "attempt"), NULL, 10);
    if (!str_is(arm_group_tag(g, "app"), "retrain") || !str_is(arm_group_tag(g, "owner"), c->owner) || !names_is_job_id(job_id) ||
        *attempt < 1)
        return false;
    names_slug(c->owner, job_id, slug);
    names_group(c->group_prefix, slug, *attempt, name);
    return str_is_nocase(name, group);
}

/* Proof only: the record was read, and is past this attempt; or there is none. */
static bool is_leftover(const struct controller *c, const char *job_id, int32_t attempt)
{
    AUTO_RECORD rec = {0};
    struct err err = {0};
    enum err_code code = ledger_load(&c->storage, job_id, &rec, &err);

    if (code == ERR_ABSENT)
        return true;
    if (code != OK) {
        log_line(LOG_WARN, "sweep: %s", err.msg);
        return false;
    }
    return rec.state.machine == MACHINE_CLOSED || rec.state.machine == MACHINE_QUEUED || rec.state.attempt > attempt;
}

static enum err_code delete_leftover(const struct arm *arm, const char *group, struct err *err)
{
    struct arm_deployment d;

    if (arm_deployment_get(arm, group, DEPLOYMENT_NAME, &d, err) == OK && d.state == ARM_RUNNING)
        (void)!arm_deployment_cancel(arm, group, DEPLOYMENT_NAME, err); /* or the group might come back; the next round looks again */
    return arm_group_delete(arm, group, err);
}

/* A lock, or a right that is missing, does not go away by waiting, and what is left costs money. Told once while the app runs. */
static void tell_refused(struct controller *c, const char *group, const struct err *err)
{
    const size_t most = sizeof c->refused / sizeof *c->refused;
    size_t at = 0;
    AUTO_STR text = STR_MAX(1024);

    while (at < most && c->refused[at][0] != '\0' && !str_is(c->refused[at], group))
        at++;
    if (at == most || c->refused[at][0] != '\0')
        return;
    str_addf(
        &text,
        "A forgotten resource group cannot be deleted, and may cost money: %s (%s: %s). Take its lock off, or delete it in the portal.",
        group, err->remote, err->msg);
    if (tell_once(c, str_c(&text)))
        str_copy(c->refused[at], GROUP_MAX, group);
}

static bool sweep_group(struct controller *c, const struct arm *arm, const char *group)
{
    struct arm_group g = {0};
    struct err err = {0};
    char job_id[JOB_ID_MAX];
    int32_t attempt;
    AUTO_STR text = STR_MAX(1024);
    enum err_code code = arm_group_get(arm, group, &g, &err);

    if (code == ERR_ABSENT || (code == OK && str_is_nocase(g.state, "Deleting")))
        return false; /* the list was late, or it is on its way */
    if (code == OK && (!read_tags(c, &g, group, job_id, &attempt) || !is_leftover(c, job_id, attempt)))
        return false;
    if (code == OK) {
        code = delete_leftover(arm, group, &err);
        if (code == ERR_REFUSED || (code == ERR_CONFLICT && str_is(err.remote, "ScopeLocked")))
            tell_refused(c, group, &err);
    }
    if (code != OK) {
        log_line(LOG_ERROR, "sweep: group %s: %s", group, err.msg);
        return false;
    }
    str_addf(&text, "A forgotten resource group was found and is being deleted: %s (job `%s`, attempt %d).", group, job_id, attempt);
    tell_once(c, str_c(&text));
    return true;
}

static int sweep_groups(struct controller *c)
{
    char prefix[sizeof c->group_prefix + 2];
    struct record any = {0}; /* of the subscription that is set now */
    struct arm arm;
    struct err err = {0};
    int found = 0;
    __attribute__((cleanup(leftovers_done))) struct leftovers l = {.prefix = prefix, .group = calloc(GROUPS_MAX, GROUP_MAX)};

    snprintf(prefix, sizeof prefix, "%s-", c->group_prefix);
    enum err_code code = l.group == NULL ? err_set(&err, ERR_MEMORY, "no memory") : controller_arm(c, &any, &arm, &err);
    if (code == OK)
        code = arm_groups_list(&arm, "app", "retrain", keep_ours, &l, &err);
    if (code != OK)
        log_line(LOG_WARN, "sweep: groups: %s", err.msg);
    for (size_t i = 0; i < l.count; i++)
        found += sweep_group(c, &arm, l.group[i]);
    return found;
}

/* True for a job that is closed, or that has had neither record nor marker for two sweeps: the first sight is only remembered. */
static bool holds_for_nothing(struct controller *c, const char *job_id)
{
    AUTO_RECORD rec = {0};
    enum err_code code = ledger_load(&c->storage, job_id, &rec, NULL);

    if (code == OK)
        return rec.state.machine == MACHINE_CLOSED;
    if (code != ERR_ABSENT || !ledger_is_unmarked(&c->storage, job_id))
        return false;
    for (size_t i = 0; i < sizeof c->suspect / sizeof *c->suspect; i++)
        if (str_is(c->suspect[i], job_id)) {
            c->suspect[i][0] = '\0';
            return true;
        }
    for (size_t i = 0; i < sizeof c->suspect / sizeof *c->suspect; i++)
        if (c->suspect[i][0] == '\0') {
            str_copy(c->suspect[i], sizeof c->suspect[i], job_id);
            break;
        }
    return false;
}

static void sweep_slots(struct controller *c)
{
    char(*job)[JOB_ID_MAX] = NULL;
    size_t count = 0;
    struct err err = {0};
    enum err_code code = ledger_slot_jobs(&c->storage, &job, &count, &err);

    for (size_t i = 0; code == OK && i < count; i++) {
        if (!holds_for_nothing(c, job[i]))
            continue;
        code = ledger_free_slot(&c->storage, job[i], &err);
        if (code == OK)
            log_line(LOG_WARN, "sweep: the slot of job %s is given back", job[i]);
    }
    if (code != OK)
        log_line(LOG_WARN, "sweep: %s", err.msg);
    free(job);
}

static bool sweep_line(void *ctx, const char *file, const struct blob_info *info)
{
    struct controller *c = ctx;
    AUTO_LINE line = {0};
    char name[LINE_MAX_];
    struct err err = {0};

    (void)info;
    str_copy(name, sizeof name, file + strlen("lines/"));
    name[strcspn(name, ".")] = '\0';
    enum err_code code = ledger_line(&c->storage, name, &line, &err);
    if (code == OK && line.job_id[0] != '\0' && ledger_is_over(&c->storage, line.job_id)) {
        log_line(LOG_WARN, "sweep: line %s is taken back from job %s", name, line.job_id);
        code = ledger_free_line(&c->storage, name, line.job_id, NULL, &err);
    }
    if (code != OK)
        log_line(LOG_WARN, "sweep: %s", err.msg);
    return true;
}

static bool is_due(struct controller *c)
{
    int64_t now_s = controller_now_s(c);

    pthread_mutex_lock(&c->lock);
    bool due = c->swept_s == 0 || now_s >= c->swept_s + SWEEP_EVERY_S || now_s < c->swept_s;
    if (due)
        c->swept_s = now_s;
    pthread_mutex_unlock(&c->lock);
    return due;
}

void sweep(struct controller *c, int *found)
{
    struct err err = {0};

    *found = 0;
    if (!is_due(c))
        return;
    *found = sweep_groups(c);
    sweep_slots(c);
    if (blob_list(&c->storage, CONTAINER_JOBS, "lines/", sweep_line, c, &err) != OK)
        log_line(LOG_WARN, "sweep: lines: %s", err.msg);
}
