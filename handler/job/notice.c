#include "job/notice.h"

#include <string.h>

#include "base/clock.h"
#include "job/bill.h"
#include "job/money.h"

/* "42 min", "3 h 05 min", "less than a minute" */
static void add_duration(struct str *to, int64_t seconds)
{
    long long minutes = (long long)(seconds > 0 ? seconds : 0) / 60;

    if (minutes == 0)
        str_add(to, "less than a minute");
    else if (minutes < 60)
        str_addf(to, "%lld min", minutes);
    else
        str_addf(to, "%lld h %02lld min", minutes / 60, minutes % 60);
}

static void add_hours(struct str *to, int32_t minutes)
{
    if (minutes % 60 == 0)
        str_addf(to, "%d", minutes / 60);
    else
        str_addf(to, "%.1f", minutes / 60.0);
    str_add(to, minutes == 60 ? " hour" : " hours");
}

/* Which one of the trainer's models, where it has several. */
static void add_model(const struct record *rec, struct str *to)
{
    if (rec->model_name[0] == '\0' || str_is(rec->model_name, rec->trainer))
        return;
    str_addf(to, " (%s", rec->model_name);
    if (rec->input_size > 0)
        str_addf(to, " at %lld x %lld", (long long)rec->input_size, (long long)rec->input_size);
    str_addf(to, "%s)", rec->request.pretrained ? "" : ", without public weights");
}

static void add_accepted(const struct record *rec, struct str *to)
{
    const struct request *r = &rec->request;

    str_addf(to, "Job `%s` is accepted: `%s`, %s", r->job_name, r->zip, task_name(r->task));
    add_model(rec, to);
    str_addf(to, ", %d epochs on a %s, at most ", r->epochs, record_size(rec));
    add_hours(to, r->max_minutes);
    str_add(to, " once started");
    if (rec->dearest_micro_usd > 0) {
        str_add(to, ", about ");
        money_add(to, money_worst(rec->dearest_micro_usd, r->max_minutes));
        str_add(to, " at most");
    }
    if (rec->terms.capacity_wait_s > 0)
        str_addf(to, " (a free machine is waited for up to %d hours)", rec->terms.capacity_wait_s / 3600);
    if (rec->parent_name[0] != '\0')
        str_addf(to, ", going on from `%s`", rec->parent_name);
    if (r->requested_by[0] != '\0')
        str_addf(to, ", asked for by %s", r->requested_by);
    str_add(to, ".");
    if (rec->remark[0] != '\0')
        str_addf(to, " (%s.)", rec->remark);
    if (rec->state.machine != MACHINE_QUEUED)
        str_add(to, " Its machine is being ordered.");
    else if (rec->place > 0)
        str_addf(to, " It is number %lld in the queue.", (long long)rec->place);
    else if (rec->zip_note[0] != '\0')
        str_addf(to, " It waits for its data (%s).", rec->zip_note);
    else if (rec->trouble[0] != '\0')
        str_addf(to, " It waits: %s", rec->trouble);
}

/* NULL for a model that is published. */
static const char *why_kept(const struct record *rec)
{
    switch (rec->state.reason) {
    case REASON_GATE:
        return rec->gate_note;
    case REASON_LINE_TASK:
        return rec->trouble;
    case REASON_PUBLISH_WAIT:
        return "storage, or another job in the line, did not let it through within 30 minutes";
    default:
        return NULL;
    }
}

/* What devices should know of a version. */
static void add_warnings(const struct record *rec, struct str *to)
{
    if (rec->breaking)
        str_add(to, " Breaking: it lacks a class that the version before had.");
    if (rec->legacy_note[0] != '\0')
        str_addf(to, " %s.", rec->legacy_note);
}

/* What became of a model that is whole. */
static void add_published(const struct record *rec, struct str *to)
{
    const char *kept = why_kept(rec);

    if (kept != NULL) {
        str_addf(to, "Not published: %s. The files are kept.", kept);
    } else {
        str_addf(to, "Published: line `%s`, version %lld", rec->request.line, (long long)rec->state.version);
        if (rec->gate_note[0] != '\0')
            str_addf(to, "; %s", rec->gate_note);
        str_add(to, ".");
        add_warnings(rec, to);
    }
}

/* Why an attempt ended without a model: one sentence, and what the machine itself says. */
static void add_reason(const struct record *rec, struct str *to)
{
    const struct job_state *s = &rec->state;

    switch (s->reason) {
    case REASON_MESSAGE:
        str_addf(to, "the message `%s` was refused:\n%s", rec->shown, rec->refused);
        if (rec->remark[0] != '\0')
            str_addf(to, "\n(%s.)", rec->remark);
        break;
    case REASON_ZIP:
        str_addf(to, "%s; it was waited for %d min. Put the zip into share `train` first.", rec->zip_note, rec->terms.upload_wait_s / 60);
        break;
    case REASON_REFUSED:
    case REASON_CREATE_WAIT:
    case REASON_GONE:
    case REASON_MODEL:
        str_add(to, rec->trouble);
        break;
    case REASON_SILENT:
        str_addf(to, "the machine runs but has fallen silent. %s", rec->trouble);
        break;
    case REASON_NO_MODEL:
        str_addf(to, "the machine reports success but left no complete model. %s", rec->trouble);
        break;
    case REASON_DEADLINE:
        str_add(to, "it was not done within ");
        add_hours(to, (int32_t)((s->run_s > 0 ? s->run_s : rec->terms.run_s) / 60));
        str_add(to, " (max_hours).");
        break;
    case REASON_REPORT:
        str_addf(to, "%s (stage %s, exit code %d)", rec->report.reason, rec->report.stage[0] != '\0' ? rec->report.stage : "unknown",
                 rec->report.exit_code);
        break;
    case REASON_PUBLISHED:
    case REASON_PUBLISH_WAIT:
    case REASON_LINE_TASK:
    case REASON_GATE:
        add_published(rec, to);
        break;
    case REASON_CANCELLED:
        str_add(to, "somebody asked for it.");
        break;
    case REASON_CAPACITY:
        str_addf(to, "Azure had no machine for it within %d hours. %s", rec->terms.capacity_wait_s / 3600, rec->trouble);
        break;
    case REASON_BOOT:
        str_addf(to, "its machine did not come up within %d min, also not at the second try.", rec->terms.boot_wait_s / 60);
        break;
    case REASON_EVICTED:
        str_addf(to, "Azure took its Spot machine back %d times; send it again with \"spot\":\"prefer\" to let it end without Spot.",
                 s->evictions);
        break;
    case REASON_NONE:
        break;
    }
}

/* An attempt ended without an outcome: what follows. */
static void add_again(const struct record *rec, struct str *to)
{
    const struct job_state *s = &rec->state;
    const char *name = rec->request.job_name;

    if (s->ended == REASON_EVICTED)
        str_addf(
            to,
            "Job `%s`: Azure took its Spot machine back (%d so far). %s goes on from the last checkpoint; the time limit stays as it is.",
            name, s->evictions, s->on_demand ? "A machine without Spot" : "Another one");
    else if (s->ended == REASON_BOOT)
        str_addf(to, "Job `%s`: its machine did not come up within %d min. It is deleted, and another one is tried.", name,
                 rec->terms.boot_wait_s / 60);
    else
        str_addf(to,
                 "Job `%s` waits for a machine. %s It is tried again by itself, for at most %d hours; to give up, send "
                 "{\"v\":1,\"action\":\"cancel\",\"job_id\":\"%s\"}",
                 name, rec->trouble, rec->terms.capacity_wait_s / 3600, name);
}

/* How long its machines were there, and what that costs; nothing when there was none. */
static void add_bill(const struct record *rec, struct str *to)
{
    int64_t now_s = rec->state.outcome_s, seconds = bill_seconds(rec, now_s), micro_usd = bill_micro_usd(rec, now_s);

    if (seconds == 0)
        return;
    str_add(to, rec->billed_s > 0 ? " Its machines ran " : " The machine ran ");
    add_duration(to, seconds);
    if (micro_usd > 0) {
        str_add(to, ", about ");
        money_add(to, micro_usd);
    }
    str_add(to, ".");
}

void notice_reason(const struct record *rec, struct str *to)
{
    if (rec->state.outcome != OUTCOME_NONE)
        add_reason(rec, to);
    else if (rec->state.ended == REASON_BOOT)
        str_addf(to, "its machine did not come up within %d min", rec->terms.boot_wait_s / 60);
    else
        str_add(to, rec->trouble[0] != '\0' ? rec->trouble : job_reason_words[rec->state.ended]);
}

/* The last lines of its own log or, when it left none, what was found before its machine was deleted. */
static void add_log(const struct record *rec, const char *fence, struct str *to)
{
    const char *lines = rec->report.log[0] != '\0' ? rec->report.log : rec->last_lines;

    if (lines[0] != '\0')
        str_addf(to, "\nLast log lines:\n%s%s%s", fence, lines, fence);
    if (rec->evidence[0] != '\0')
        str_addf(to, "%sWhat is known of its end: share logs, %s", lines[0] != '\0' && fence[0] == '\0' ? "" : "\n", rec->evidence);
}

/* A job that only publishes what is there: what, from where, as which version, or why not. */
static void add_release(const struct record *rec, struct str *to)
{
    const char *name = rec->request.job_name, *line = rec->request.line, *maker = rec->maker_name;
    bool back = rec->release == RELEASE_ROLLBACK;
    long long version = rec->state.version, from = rec->from_version;

    if (rec->state.outcome == OUTCOME_SUCCEEDED) {
        if (back)
            str_addf(to,
                     "Job `%s` has succeeded: line `%s` is rolled back: the files of version %lld (job `%s`) are published again, as "
                     "version %lld.",
                     name, line, from, maker, version);
        else
            str_addf(to, "Job `%s` has succeeded: the model of job `%s`, which had been kept, is published: line `%s`, version %lld.", name,
                     maker, line, version);
        add_warnings(rec, to);
        return;
    }
    if (back)
        str_addf(to, "Job `%s` has failed: line `%s` is not rolled back to version %lld: ", name, line, from);
    else
        str_addf(to, "Job `%s` has failed: the model of job `%s` is not published: ", name, maker);
    bool waited = rec->state.reason == REASON_PUBLISH_WAIT;
    str_addf(to, "%s.", waited ? why_kept(rec) : rec->trouble);
    if (waited)
        str_addf(to, "\nTo try again, send:\n%s", rec->corrected);
}

static void add_result(const struct record *rec, const char *fence, struct str *to)
{
    const struct job_state *s = &rec->state;
    const char *name = rec->request.job_name;

    if (rec->release != RELEASE_NONE) {
        add_release(rec, to);
        return;
    }
    if (s->outcome == OUTCOME_SUCCEEDED) {
        str_addf(to, "Job `%s` has succeeded: %s %.3f on %lld validation images (%lld for training, %lld epochs), after ", name,
                 rec->metric, rec->value, (long long)rec->images, (long long)rec->images_train, (long long)rec->epochs_done);
        add_duration(to, s->outcome_s - s->started_s);
        str_add(to, ". ");
        add_reason(rec, to);
        add_bill(rec, to);
        if (s->reason == REASON_GATE)
            str_addf(to, "\nTo publish it all the same, send:\n{\"v\":1,\"action\":\"publish\",\"job_id\":\"%s\"}", name);
        return;
    }
    str_addf(to, "Job `%s` %s: ", name,
             s->outcome == OUTCOME_REJECTED    ? "is rejected"
             : s->outcome == OUTCOME_CANCELLED ? "is cancelled"
             : s->outcome == OUTCOME_TIMED_OUT ? "has run out of time"
                                               : "has failed");
    add_reason(rec, to);
    if (rec->corrected[0] != '\0')
        str_addf(to, "\n%s\n%s", s->reason == REASON_MESSAGE ? "Send this instead:" : "To try again, send:", rec->corrected);
    if (s->started_s > 0) {
        str_add(to, "\nIt ended after ");
        add_duration(to, s->outcome_s - s->started_s);
        if (s->attempt > 1)
            str_addf(to, " in %d attempts", s->attempt);
        str_add(to, "; nothing was published, and its machine is being deleted.");
        add_bill(rec, to);
    }
    add_log(rec, fence, to);
}

void notice_text(const struct record *rec, enum job_notice notice, struct str *to)
{
    char when[DATE_ISO];

    switch (notice) {
    case NOTICE_ACCEPTED:
        add_accepted(rec, to);
        break;
    case NOTICE_STARTED:
        str_addf(to, "Job `%s`: training has started on a %s; the data is checked first.", rec->request.job_name, record_size(rec));
        break;
    case NOTICE_AGAIN:
        add_again(rec, to);
        break;
    case NOTICE_STUCK:
        str_addf(to, "The machine of job `%s` is still there though its deletion was ordered, and costs money: ", rec->request.job_name);
        str_add(to, rec->delete_note[0] != '\0' ? rec->delete_note : "Azure has not finished deleting its resource group");
        str_add(to, ". It is tried again every minute.");
        break;
    case NOTICE_RESULT:
        add_result(rec, "```\n", to);
        break;
    case NOTICE_RESULT_FILE:
        add_result(rec, "", to);
        date_iso(rec->state.outcome_s, when);
        str_addf(to, "\n\n%s\n", when);
        if (rec->classes[0] != '\0')
            str_addf(to, "Classes: %s\n", rec->classes);
        if (rec->state.attempt > 0)
            str_addf(to, "Log and checkpoint: share logs, folder %s\n", rec->request.job_name);
        break;
    }
}

void notice_status(const struct record *rec, int64_t now_s, struct str *to)
{
    const struct job_state *s = &rec->state;
    char until[DATE_ISO];

    str_addf(to, "`%s`: ", rec->request.job_name);
    if (s->outcome != OUTCOME_NONE)
        str_addf(to, "%s, ", job_outcome_words[s->outcome]);
    str_add(to, rec->release != RELEASE_NONE && s->outcome == OUTCOME_NONE ? "publishing" : job_machine_words[s->machine]);
    if (s->machine == MACHINE_QUEUED && rec->place > 0)
        str_addf(to, " (number %lld)", (long long)rec->place);
    if (s->machine == MACHINE_QUEUED && s->ended != REASON_NONE)
        str_addf(to, " (for attempt %d)", s->attempt + 1);
    if (s->machine == MACHINE_QUEUED && rec->zip_note[0] != '\0')
        str_addf(to, " (%s)", rec->zip_note);
    else if (s->machine == MACHINE_QUEUED && rec->place == 0 && rec->trouble[0] != '\0')
        str_addf(to, " (%s)", rec->trouble);
    str_add(to, " for ");
    add_duration(to, now_s - s->machine_since_s);
    if (s->outcome == OUTCOME_NONE && s->deadline_s > 0) {
        date_iso(s->deadline_s, until);
        str_addf(to, ", at the latest until %s", until);
    }
    if (s->outcome == OUTCOME_SUCCEEDED && s->reason == REASON_PUBLISHED)
        str_addf(to, ", published as line `%s` version %lld", rec->request.line, (long long)s->version);
    else if (s->outcome == OUTCOME_SUCCEEDED && why_kept(rec) != NULL)
        str_addf(to, ", not published: %s", why_kept(rec));
    if (rec->published_version > 0)
        str_addf(to, "; published later by job `%s`, as version %lld", rec->published_by, (long long)rec->published_version);
}

void notice_repeated(const struct record *rec, const struct request *asked, int64_t now_s, struct str *to)
{
    str_add(to, "This job was sent before with the same data; no new run was started. ");
    if (asked->publish != rec->request.publish)
        str_addf(to, "Its `publish` stays `%s`, as it was sent first. ", publish_name(rec->request.publish));
    notice_status(rec, now_s, to);
}

void notice_sign_in(const char *why, struct str *to)
{
    str_addf(to,
             "The app %s\nCheck AZURE_SP_APP_ID, AZURE_SP_PASSWORD and AZURE_SP_TENANT, or the app's managed identity (`--check` asks "
             "again at once). ",
             why);
    str_add(to, "Until then machines can be neither made nor deleted, and those that run cost money. No message is lost: jobs wait, and go "
                "on by themselves.");
}

void notice_faults(const struct message *m, struct str *to)
{
    for (int32_t i = 0; i < m->faults; i++)
        str_addf(to, "%s%s %s%s%s", i > 0 ? "\n" : "", m->fault[i].code, m->fault[i].field, m->fault[i].field[0] != '\0' ? ": " : "",
                 m->fault[i].text);
}
