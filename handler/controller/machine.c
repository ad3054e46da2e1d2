#include "controller/machine.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "controller/bootstrap.h"
#include "controller/preflight.h"
#include "controller/template.h"
#include "job/bill.h"
#include "job/remedy.h"

#define BODY_MAX (256 * 1024)
#define CANCEL_WAIT_S 120 /* how long a cancellation may hold up the deletion (promise P2) */

/* Keeps what went wrong in the record, in words for people, and says what it asks for. */
static void trouble(struct record *rec, struct job_seen *seen, const char *doing, const struct err *err)
{
    const char *advice = remedy_advice(err);
    char said[sizeof rec->trouble];
    AUTO_STR head = STR_MAX(256), tail = STR_MAX(256);

    seen->remedy = remedy_of(err);
    str_addf(&head, "%s: %s%s", doing, err->remote, *err->remote != '\0' ? ": " : "");
    if (*advice != '\0')
        str_addf(&tail, " %s", advice);
    /* Azure's words may be long, and what to do must stand behind them. */
    str_copy(said, sizeof said - 4 - head.len - tail.len, err->msg);
    bool cut = strlen(said) < strlen(err->msg), ended = said[0] != '\0' && strchr(".!", said[strlen(said) - 1]) != NULL;
    snprintf(rec->trouble, sizeof rec->trouble, "%s%s%s%s", str_c(&head), said,
             cut                         ? "..."
             : *advice != '\0' && !ended ? "."
                                         : "",
             tail.len > 0 ? str_c(&tail) : "");
    log_line(seen->remedy == REMEDY_WAIT ? LOG_WARN : LOG_ERROR, "%s", rec->trouble);
}

static bool is_ours(const struct record *rec, const struct arm_group *g)
{
    struct arm_group want = {0};

    template_tags(rec, &want);
    for (size_t i = 0; i < want.tags; i++)
        if (!str_is(arm_group_tag(g, want.tag[i].name), want.tag[i].value))
            return false;
    return true;
}

/* YES: there, and made by us. NO: not there, or somebody else's. UNSEEN: ARM did not say. *foreign: it does not carry our tags (any more).
 */
static enum seen find_group(const struct arm *arm, struct record *rec, const char *group, bool *foreign, bool *leaving, struct err *err)
{
    struct arm_group g = {0};
    enum err_code code = arm_group_get(arm, group, &g, err);

    *foreign = false;
    *leaving = false;
    if (code == ERR_ABSENT)
        return NO;
    if (code != OK)
        return UNSEEN;
    *foreign = !is_ours(rec, &g);
    *leaving = str_is_nocase(g.state, "Deleting");
    if (!*foreign)
        rec->group_made = rec->state.attempt;
    return rec->group_made == rec->state.attempt ? YES : NO; /* one of ours that was tagged anew is still there, and costs */
}

void machine_look_group(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct arm arm;
    struct err err = {0};
    char group[GROUP_MAX];
    bool foreign, leaving;

    controller_group(rec, group);
    if (controller_arm(e->c, rec, &arm, &err) == OK)
        seen->group = find_group(&arm, rec, group, &foreign, &leaving, &err);
    if (seen->group == UNSEEN)
        log_line(LOG_WARN, "group %s: %s", group, err.msg);
    bill_look(rec, seen->group, controller_now_s(e->c));
}

void machine_look_deployment(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct arm arm;
    struct err err = {0};
    struct arm_deployment d;
    char group[GROUP_MAX];
    enum err_code code;

    controller_group(rec, group);
    code = controller_arm(e->c, rec, &arm, &err);
    if (code == OK)
        code = arm_deployment_get(&arm, group, DEPLOYMENT_NAME, &d, &err);
    if (code == ERR_ABSENT) {
        seen->deployment = NO;
        if (rec->state.create_until_s == 0) /* it was there: else it may not be visible yet */
            snprintf(rec->trouble, sizeof rec->trouble,
                     "Its resource group is no longer there, or was emptied: somebody has deleted it before the machine came up.");
    } else if (code != OK)
        log_line(LOG_WARN, "deployment in %s: %s", group, err.msg);
    else {
        seen->deployment = YES;
        preflight_bill(e->c, rec); /* the call that ordered it may have saved nothing more */
        if (d.state == ARM_FAILED || d.state == ARM_CANCELED) {
            err_set(&err, ERR_REFUSED, "%s", d.state == ARM_CANCELED ? "the deployment was cancelled" : d.error.message);
            str_copy(err.remote, sizeof err.remote, d.error.code);
            trouble(rec, seen, "Azure could not make the machine", &err);
            if (seen->remedy == REMEDY_WAIT)
                seen->remedy = REMEDY_BOOT; /* it has ended, and does not go on by waiting */
            if (d.state == ARM_CANCELED)
                seen->remedy = REMEDY_NO;
            return;
        }
        rec->trouble[0] = '\0'; /* of the order, or of the machine before this one */
        if (d.state == ARM_SUCCEEDED)
            seen->ready = YES;
    }
}

void machine_look_vm(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct arm arm;
    struct err err = {0};
    struct arm_vm vm;
    char group[GROUP_MAX];
    enum err_code code;

    controller_group(rec, group);
    code = controller_arm(e->c, rec, &arm, &err);
    if (code == OK)
        code = arm_vm_get(&arm, group, VM_NAME, &vm, &err);
    if (code == ERR_ABSENT) {
        seen->vm = NO;
        if (rec->state.machine == MACHINE_RUNNING || seen->ready == YES) /* else it is still being made */
            snprintf(rec->trouble, sizeof rec->trouble, "The machine is no longer there: it was deleted, or Azure took it away.");
    } else if (code != OK)
        log_line(LOG_WARN, "machine in %s: %s", group, err.msg);
    else {
        str_copy(rec->vm_id, sizeof rec->vm_id, vm.vm_id);
        seen->vm = YES;
        if (str_is_nocase(vm.power, "stopped") || str_is_nocase(vm.power, "deallocated")) {
            seen->off = YES; /* no longer at work, though it costs */
            snprintf(rec->trouble, sizeof rec->trouble, "The machine is switched off (%s) and has reported nothing.", vm.power);
        }
    }
}

/* Of those that found the scripts missing, the first uploads them. */
static enum err_code upload_scripts(const struct errand *e, const char *name, struct err *err)
{
    const struct storage *s = &e->c->storage;
    struct blob_info info;
    AUTO_STR scripts = STR_MAX(0);

    enum err_code code = blob_head(s, CONTAINER_FILES, name, &info, err);
    if (code != ERR_ABSENT)
        return code;
    code = assets_scripts(&e->c->assets, &scripts, err);
    if (code == OK)
        code = blob_put(s, CONTAINER_FILES, name, scripts.p, scripts.len, "application/gzip", BLOB_IF_ABSENT, NULL, NULL, err);
    return code == ERR_CONFLICT ? OK : code;
}

/* The scripts that the job was accepted with, under their own hash; uploaded once per version of the app. */
static enum err_code ensure_scripts(const struct errand *e, const struct record *rec, struct err *err)
{
    const struct storage *s = &e->c->storage;
    char name[BLOB_NAME_MAX];
    struct blob_info info;

    controller_scripts(rec, name);
    enum err_code code = blob_head(s, CONTAINER_FILES, name, &info, err);
    if (code != ERR_ABSENT)
        return code;
    if (!str_is(rec->scripts_sha256, e->c->assets.scripts_sha256))
        return err_set(err, ERR_REFUSED,
                       "the scripts %.12s... that this job was accepted with are gone from container job-files: send the message again",
                       rec->scripts_sha256);
    pthread_mutex_lock(&e->c->upload);
    code = upload_scripts(e, name, err);
    pthread_mutex_unlock(&e->c->upload);
    return code;
}

/* What the machine will read and write must be there before it boots: a SAS for one file cannot make its folder. */
static enum err_code prepare_storage(const struct errand *e, const struct record *rec, struct err *err)
{
    enum err_code code = controller_storage(e->c, err);

    if (code == OK)
        code = ensure_scripts(e, rec, err);
    if (code == OK)
        code = files_make_directory(&e->c->storage, SHARE_LOGS, rec->request.job_name, err);
    return code;
}

static bool too_late(const struct errand *e, const struct record *rec)
{
    return controller_now_s(e->c) >= rec->state.create_until_s;
}

/* ERR_CONFLICT with remote "foreign": the name is somebody else's. *made: this very call has made it. */
static enum err_code ensure_group(const struct errand *e, const struct arm *arm, struct record *rec, const char *group, bool *made,
                                  struct err *err)
{
    struct arm_group want = {0};
    bool foreign, leaving;
    enum seen there = find_group(arm, rec, group, &foreign, &leaving, err);

    if (foreign) {
        err_set(err, ERR_CONFLICT, "a resource group %s exists that this app did not make; it is left untouched", group);
        str_copy(err->remote, sizeof err->remote, "foreign");
        return ERR_CONFLICT;
    }
    if (leaving) {
        err_set(err, ERR_CONFLICT, "group %s is being deleted", group);
        str_copy(err->remote, sizeof err->remote, "ResourceGroupBeingDeleted");
        return ERR_CONFLICT;
    }
    if (there == YES)
        return OK;
    if (there == UNSEEN)
        return err->code;
    enum err_code code = preflight_machine(e->c, arm, record_size(rec), record_region(rec), job_on_spot(&rec->terms, &rec->state), err);
    if (code != OK)
        return code;
    if (too_late(e, rec))
        return err_set(err, ERR_UNREACHABLE, "no time left in this call");
    str_copy(want.location, sizeof want.location, record_region(rec));
    template_tags(rec, &want);
    code = arm_group_put(arm, group, &want, made, err);
    if (code == OK)
        rec->group_made = rec->state.attempt;
    return code;
}

/* *seen: a GET has shown it. A PUT that was accepted is not yet seen: ARM's reads may lag behind,
 * and a 404 must not pass for proof. fresh: the group was made just now, and there is nothing in it. */
static enum err_code ensure_deployment(const struct errand *e, const struct arm *arm, const struct record *rec, const char *group,
                                       bool fresh, bool *seen, struct err *err)
{
    struct arm_deployment there;
    AUTO_STR custom_data = STR_MAX(CUSTOM_DATA_MAX), body = STR_MAX(BODY_MAX);
    enum err_code code = fresh ? ERR_ABSENT : arm_deployment_get(arm, group, DEPLOYMENT_NAME, &there, err);

    *seen = code == OK;
    if (code != ERR_ABSENT)
        return code; /* there: adopted */
    code = bootstrap_custom_data(e->c, rec, &custom_data, err);
    if (code == OK)
        code = template_body(e->c, rec, &custom_data, &body, err);
    if (code != OK) /* it will be as long at the next try */
        return err_set(err, ERR_INPUT, "what the machine must be told is too long for Azure (fewer or shorter class names): %s",
                       rec->request.zip);
    if (too_late(e, rec))
        return err_set(err, ERR_UNREACHABLE, "no time left in this call");
    return arm_deployment_put(arm, group, DEPLOYMENT_NAME, body.p, body.len, err);
}

void machine_create(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct arm arm;
    struct err err = {0};
    char group[GROUP_MAX];
    bool there = false, made = false;

    controller_group(rec, group);
    enum err_code code = controller_arm(e->c, rec, &arm, &err);
    if (code == OK) {
        str_copy(rec->subscription, sizeof rec->subscription, arm.subscription);
        code = prepare_storage(e, rec, &err);
    }
    if (code == OK)
        code = ensure_group(e, &arm, rec, group, &made, &err);
    if (code == OK)
        code = ensure_deployment(e, &arm, rec, group, made, &there, &err);
    if (there)
        seen->deployment = YES;
    if (code == OK) {
        rec->trouble[0] = '\0'; /* of the order before this one, or of the machine */
        log_line(LOG_INFO, "deployment in %s is %s", group, there ? "there already" : "accepted");
        preflight_bill(e->c, rec);
    } else
        trouble(rec, seen, "The machine could not be ordered", &err);
}

void machine_fence(const struct errand *e, struct record *rec)
{
    static const char HANDLER[] = "handler";
    char claim[BLOB_NAME_MAX];
    struct err err = {0};

    controller_claim(rec, claim);
    enum err_code code =
        blob_put(&e->c->storage, CONTAINER_FILES, claim, HANDLER, strlen(HANDLER), "text/plain", BLOB_IF_ABSENT, NULL, NULL, &err);
    if (code != OK && code != ERR_CONFLICT)
        log_line(LOG_WARN, "claim: %s", err.msg);
}

/* True when no deployment runs (any more), or it has been given its time. */
static bool deployment_is_over(const struct errand *e, const struct arm *arm, const struct record *rec, const char *group)
{
    struct arm_deployment d;
    struct err err = {0};

    if (arm_deployment_get(arm, group, DEPLOYMENT_NAME, &d, &err) != OK || d.state != ARM_RUNNING)
        return true;
    if (arm_deployment_cancel(arm, group, DEPLOYMENT_NAME, &err) != OK)
        log_line(LOG_WARN, "cancel in %s: %s", group, err.msg);
    for (int i = 0; i < 3; i++) {
        clock_sleep_ms(e->c->clock, 1000);
        if (arm_deployment_get(arm, group, DEPLOYMENT_NAME, &d, &err) != OK || d.state != ARM_RUNNING)
            return true;
    }
    return controller_now_s(e->c) >= rec->state.machine_since_s + CANCEL_WAIT_S - LOOK_AGAIN_S;
}

void machine_delete(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct arm arm;
    struct err err = {0};
    char group[GROUP_MAX];
    bool foreign, leaving;

    controller_group(rec, group);
    if (controller_arm(e->c, rec, &arm, &err) != OK) {
        log_line(LOG_ERROR, "group %s stays for now: %s", group, err.msg);
        return;
    }
    seen->group = find_group(&arm, rec, group, &foreign, &leaving, &err);
    if (seen->group == YES && foreign && !leaving) {
        snprintf(rec->delete_note, sizeof rec->delete_note,
                 "the tags of group %.90s were changed, so it is left alone: delete it in the portal", group);
        log_line(LOG_ERROR, "%s", rec->delete_note);
    } else if (seen->group == YES && !leaving && deployment_is_over(e, &arm, rec, group)) {
        if (arm_group_delete(&arm, group, &err) == OK) {
            rec->delete_note[0] = '\0';
            log_line(LOG_INFO, "deletion of group %s is requested", group);
        } else {
            char words[120];
            str_copy(words, sizeof words, err.msg);
            snprintf(rec->delete_note, sizeof rec->delete_note, "%.96s: %s", err.remote, words);
            log_line(LOG_ERROR, "group %s: deletion refused: %s: %s", group, err.remote, err.msg);
            if (str_is(err.remote, "ScopeLocked"))
                seen->locked = YES;
        }
    } else if (seen->group == UNSEEN)
        log_line(LOG_ERROR, "group %s stays for now: %s", group, err.msg);
}
