#include "job/inquest.h"

#include "base/clock.h"
#include "job/notice.h"
#include "job/text.h"

static void add_time(struct str *to, const char *before, int64_t at_s)
{
    char when[DATE_ISO];

    if (at_s <= 0)
        return;
    date_iso(at_s, when);
    str_addf(to, "%s%s", before, when);
}

void inquest_status(const char *text, size_t len, struct str *to)
{
    AUTO_JSON doc = NULL;
    char stage[32];
    int64_t epoch;

    if (len == 0 || json_parse(text, len, 4, &doc, NULL) != OK) {
        str_add(to, len == 0 ? "it never wrote one" : "it cannot be read");
        return;
    }
    text_echo(json_get_text(doc, "stage"), stage, sizeof stage);
    str_addf(to, "stage %s", stage[0] != '\0' ? stage : "unknown");
    if (json_int(json_get(doc, "epoch"), &epoch))
        str_addf(to, ", epoch %lld of %lld", (long long)epoch, (long long)json_get_int(doc, "epochs", 0));
    add_time(to, ", ", json_get_int(doc, "beat_s", 0));
}

static void add_lines(struct str *to, const char *title, const char *lines, const char *none)
{
    str_addf(to, "\n%s:\n%s", title, lines[0] != '\0' ? lines : none);
    if (lines[0] == '\0')
        str_add(to, "\n");
}

void inquest_text(const struct record *rec, const struct inquest *i, struct str *to)
{
    const struct job_state *s = &rec->state;

    str_addf(to, "What is known of the end of job `%s`, attempt %d.\n\nReason: ", rec->request.job_name, s->attempt);
    notice_reason(rec, to);
    add_time(to, "\nOrdered: ", s->ordered_s > 0 ? s->ordered_s : s->started_s);
    add_time(to, "\nEnded: ", s->machine_since_s);
    add_time(to, "\nWritten: ", i->now_s);
    str_addf(to, "\nMachine: %s in %s%s, resource group %s", record_size(rec), record_region(rec),
             job_on_spot(&rec->terms, s) ? " (Spot)" : "", i->group);
    if (rec->vm_id[0] != '\0')
        str_addf(to, ", id %s", rec->vm_id);
    if (rec->report.outcome != OUTCOME_NONE)
        str_addf(to, "\nExit code: %d (stage %s)", rec->report.exit_code, rec->report.stage[0] != '\0' ? rec->report.stage : "unknown");
    else
        str_add(to, "\nExit code: none, it reported nothing");
    str_add(to, "\nLast status: ");
    inquest_status(i->status, i->status_len, to);
    str_add(to, "\n");
    add_lines(to, "Last log lines", i->log, "none");
    add_lines(to, "Last lines of its console", i->serial, i->serial_note);
    if (i->serial_file[0] != '\0')
        str_addf(to, "(all of it: %s)\n", i->serial_file);
}
