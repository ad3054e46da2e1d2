/* Every text that people read about a job, as golden file. */
#include "test.h"

#include "golden.h"
#include "job/notice.h"
#include "sample.h"

#define TIE "it is not clearly better: map 0.700 against 0.695 of version 3 on 40 images (+0.005, it takes more than 0.021)"

static void title(struct str *to, const char *text)
{
    str_addf(to, "%s## %s\n", to->len > 0 ? "\n\n" : "", text);
}

static void end(struct record *rec, enum job_outcome outcome, enum job_reason reason)
{
    rec->state.machine = MACHINE_DELETING;
    rec->state.outcome = outcome;
    rec->state.reason = reason;
    rec->state.outcome_s = rec->state.started_s + 3 * 3600 + 5 * 60;
}

/* Jobs that publish what is there. */
static void add_releases(struct record *rec, struct str *all)
{
    rec->corrected[0] = rec->trouble[0] = rec->gate_note[0] = '\0';
    rec->state.version = 8;
    rec->state.attempt = 0;
    rec->state.deadline_s = 0;
    str_copy(rec->request.job_name, sizeof rec->request.job_name, "publish-853b0581");
    str_copy(rec->corrected, sizeof rec->corrected, "{\"v\":1,\"action\":\"publish\",\"job_id\":\"Screws-0412\"}");
    str_copy(rec->maker_name, sizeof rec->maker_name, "Screws-0412");
    rec->release = RELEASE_PUBLISH;
    title(all, "a kept model, published later");
    end(rec, OUTCOME_SUCCEEDED, REASON_PUBLISHED);
    notice_text(rec, NOTICE_RESULT, all);
    title(all, "the same, RESULT.txt");
    notice_text(rec, NOTICE_RESULT_FILE, all);
    title(all, "storage was in the way");
    end(rec, OUTCOME_FAILED, REASON_PUBLISH_WAIT);
    notice_text(rec, NOTICE_RESULT, all);
    title(all, "twice");
    end(rec, OUTCOME_FAILED, REASON_MODEL);
    str_copy(rec->trouble, sizeof rec->trouble, "it was published already, as version 8 by job `publish-00000000`");
    notice_text(rec, NOTICE_RESULT, all);
    rec->release = RELEASE_ROLLBACK;
    rec->from_version = 4;
    str_copy(rec->request.job_name, sizeof rec->request.job_name, "rollback-853b0581");
    title(all, "rolled back, and old devices stay behind");
    end(rec, OUTCOME_SUCCEEDED, REASON_PUBLISHED);
    rec->breaking = 1;
    str_copy(
        rec->legacy_note, sizeof rec->legacy_note,
        "model/model.bin and model/model.xml, for devices of the former system, stay at version 7: version 8 has other inputs or outputs. "
        "The operator may set LEGACY_ROOT to replace");
    notice_text(rec, NOTICE_RESULT, all);
    title(all, "not rolled back");
    end(rec, OUTCOME_FAILED, REASON_MODEL);
    str_copy(rec->trouble, sizeof rec->trouble, "model.bin is not what the manifest says (size or sha256 differ); nothing was published");
    notice_text(rec, NOTICE_RESULT, all);
    title(all, "status while it goes on");
    rec->state.outcome = OUTCOME_NONE;
    notice_status(rec, rec->state.machine_since_s + 90, all);
}

static void test_notices(void **state)
{
    (void)state;
    static const struct {
        const char *title;
        enum job_outcome outcome;
        enum job_reason reason;
        const char *trouble;
    } ends[] = {
        {"published", OUTCOME_SUCCEEDED, REASON_PUBLISHED, ""},
        {"kept: storage", OUTCOME_SUCCEEDED, REASON_PUBLISH_WAIT, ""},
        {"kept: line", OUTCOME_SUCCEEDED, REASON_LINE_TASK, "line screws carries classification models, this one is for detection"},
        {"kept: gate", OUTCOME_SUCCEEDED, REASON_GATE, ""},
        {"refused", OUTCOME_FAILED, REASON_REFUSED, "The machine could not be ordered: QuotaExceeded: limit 10, used 8. Ask for more."},
        {"refused too long", OUTCOME_FAILED, REASON_CREATE_WAIT, "The machine could not be ordered: HTTP 500 again and again"},
        {"report", OUTCOME_FAILED, REASON_REPORT, ""},
        {"no model", OUTCOME_FAILED, REASON_NO_MODEL, "manifest.json: v is not 1"},
        {"deadline", OUTCOME_TIMED_OUT, REASON_DEADLINE, ""},
        {"silent", OUTCOME_FAILED, REASON_SILENT, "The machine's last sign of life was 16 minutes ago."},
        {"gone", OUTCOME_FAILED, REASON_GONE, "The machine is no longer there: it was deleted, or Azure took it away."},
        {"broken", OUTCOME_FAILED, REASON_MODEL, "model.bin is not what the manifest says (size or sha256 differ); nothing was published"},
    };
    AUTO_STR all = STR_MAX(256 * 1024);
    AUTO_RECORD rec = {0};
    sample_record(&rec);
    rec.state.machine = MACHINE_QUEUED;
    title(&all, "accepted, waits for its zip");
    str_copy(rec.zip_note, sizeof rec.zip_note, "E16 zip: `ネジ 0412.zip` is not in share `train`");
    notice_text(&rec, NOTICE_ACCEPTED, &all);
    rec.zip_note[0] = '\0';
    rec.place = 2;
    str_copy(rec.remark, sizeof rec.remark, "full-width `：` was read as `:`");
    title(&all, "accepted, second in the queue");
    notice_text(&rec, NOTICE_ACCEPTED, &all);
    rec.remark[0] = '\0';
    rec.place = 0;
    str_copy(rec.model_name, sizeof rec.model_name, "ssd_mobilenetv2");
    rec.input_size = 384;
    title(&all, "accepted, one of several models");
    notice_text(&rec, NOTICE_ACCEPTED, &all);
    str_copy(rec.model_name, sizeof rec.model_name, rec.trainer);
    rec.input_size = 0;
    str_copy(rec.trouble, sizeof rec.trouble,
             "the app is not let in to Azure: cannot sign in as app 1-2: AADSTS7000222: The provided client secret keys are expired.");
    title(&all, "accepted, and nobody signs in");
    notice_text(&rec, NOTICE_ACCEPTED, &all);
    title(&all, "accepted, the price is not known");
    rec.dearest_micro_usd = 0;
    notice_text(&rec, NOTICE_ACCEPTED, &all);
    rec.dearest_micro_usd = 500000;
    title(&all, "status of it");
    notice_status(&rec, rec.state.machine_since_s + 90, &all);
    title(&all, "told once");
    notice_sign_in("cannot sign in as app 1-2: AADSTS7000222: The provided client secret keys are expired.", &all);
    rec.trouble[0] = '\0';
    rec.place = 2;
    title(&all, "status of the second in the queue");
    notice_status(&rec, rec.state.machine_since_s + 90, &all);
    rec.place = 0;
    rec.state.machine = MACHINE_RUNNING;
    title(&all, "accepted, at once");
    notice_text(&rec, NOTICE_ACCEPTED, &all);
    title(&all, "started");
    notice_text(&rec, NOTICE_STARTED, &all);
    title(&all, "sent again");
    notice_repeated(&rec, &rec.request, rec.state.machine_since_s + 3660, &all);
    struct request always = rec.request;
    always.publish = PUBLISH_ALWAYS;
    title(&all, "sent again, to be published differently");
    notice_repeated(&rec, &always, rec.state.machine_since_s + 3660, &all);
    rec.report = (struct report){
        .outcome = OUTCOME_FAILED, .exit_code = 4, .stage = "export", .reason = "no IR was written", .log = "line 1\nline 2\n"};
    rec.state.version = 4;
    str_copy(rec.corrected, sizeof rec.corrected, "ネジ 0412.zip:Screws-0412-2");
    for (size_t i = 0; i < COUNT(ends); i++) {
        end(&rec, ends[i].outcome, ends[i].reason);
        str_copy(rec.trouble, sizeof rec.trouble, ends[i].trouble);
        rec.bill_attempt = ends[i].reason == REASON_REFUSED || ends[i].reason == REASON_CREATE_WAIT ? 0 : 1;
        rec.bill_since_s = rec.bill_attempt > 0 ? 1767225705 : 0; /* what was refused costs nothing */
        str_copy(rec.gate_note, sizeof rec.gate_note, ends[i].reason == REASON_GATE ? TIE : "");
        title(&all, ends[i].title);
        notice_text(&rec, NOTICE_RESULT, &all);
    }
    title(&all, "gone, and what it left");
    end(&rec, OUTCOME_FAILED, REASON_GONE);
    rec.report.log[0] = '\0';
    str_copy(rec.last_lines, sizeof rec.last_lines, "epoch 3\nepoch 4\n");
    str_copy(rec.evidence, sizeof rec.evidence, "Screws-0412/attempt-1.txt");
    notice_text(&rec, NOTICE_RESULT, &all);
    title(&all, "RESULT.txt of it");
    notice_text(&rec, NOTICE_RESULT_FILE, &all);
    title(&all, "gone, and it left nothing");
    rec.last_lines[0] = '\0';
    notice_text(&rec, NOTICE_RESULT, &all);
    rec.evidence[0] = '\0';
    str_copy(rec.report.log, sizeof rec.report.log, "line 1\nline 2\n");
    title(&all, "breaking");
    end(&rec, OUTCOME_SUCCEEDED, REASON_PUBLISHED);
    rec.breaking = 1;
    str_copy(rec.gate_note, sizeof rec.gate_note,
             "as the message says (\"publish\":\"always\"): map 0.712 on 40 images; it lacks class `dent`");
    notice_text(&rec, NOTICE_RESULT, &all);
    rec.gate_note[0] = '\0';
    rec.breaking = 0;
    title(&all, "status of a kept one");
    end(&rec, OUTCOME_SUCCEEDED, REASON_GATE);
    str_copy(rec.gate_note, sizeof rec.gate_note, TIE);
    notice_status(&rec, rec.state.machine_since_s + 7200, &all);
    title(&all, "better");
    end(&rec, OUTCOME_SUCCEEDED, REASON_PUBLISHED);
    str_copy(rec.gate_note, sizeof rec.gate_note,
             "it is better: map 0.712 against 0.695 of version 3 on 40 images (+0.017, it takes more than 0.010)");
    notice_text(&rec, NOTICE_RESULT, &all);
    rec.gate_note[0] = '\0';
    title(&all, "two machines");
    rec.billed_s = 1800;
    rec.billed_micro_usd = 260000;
    notice_text(&rec, NOTICE_RESULT, &all);
    title(&all, "two machines, the price of one is not known");
    rec.unpriced = 1;
    notice_text(&rec, NOTICE_RESULT, &all);
    rec.billed_s = rec.billed_micro_usd = rec.unpriced = 0;
    title(&all, "still not deleted");
    notice_text(&rec, NOTICE_STUCK, &all);
    str_copy(rec.delete_note, sizeof rec.delete_note, "ScopeLocked: the scope is locked");
    title(&all, "locked");
    notice_text(&rec, NOTICE_STUCK, &all);
    title(&all, "RESULT.txt of a success");
    end(&rec, OUTCOME_SUCCEEDED, REASON_PUBLISHED);
    notice_text(&rec, NOTICE_RESULT_FILE, &all);
    title(&all, "status of it");
    notice_status(&rec, rec.state.machine_since_s + 7200, &all);
    rec.state.started_s = rec.bill_since_s = 0;
    rec.report.log[0] = '\0';
    title(&all, "zip never came");
    end(&rec, OUTCOME_REJECTED, REASON_ZIP);
    str_copy(rec.zip_note, sizeof rec.zip_note, "E17 zip: `ネジ 0412.zip` is empty (still uploading?)");
    notice_text(&rec, NOTICE_RESULT, &all);
    title(&all, "refused message");
    end(&rec, OUTCOME_REJECTED, REASON_MESSAGE);
    str_copy(rec.shown, sizeof rec.shown, "a.zip:j1:D8s:ok,ok");
    str_copy(rec.refused, sizeof rec.refused, "E05 vm_size: `D8s` is unknown\nE06 classes: `ok` twice");
    str_copy(rec.corrected, sizeof rec.corrected, "a.zip:j1:Standard_D8s_v4:ok");
    notice_text(&rec, NOTICE_RESULT, &all);
    add_releases(&rec, &all);
    str_add(&all, "\n");
    golden_same("notices.txt", &all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_notices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
