/* The poison queues: what the host gave up after so many failures. People are told what was lost, what is known of it, and a line to send
 * again; a bell is only logged, because job-watch looks at its job anyway.
 *
 * The host has no poison queue for a poison queue: a message that fails here comes again after 10 minutes. */
#include <string.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/tell.h"
#include "functions/functions.h"
#include "functions/intake.h"
#include "job/decode.h"
#include "job/lost.h"
#include "job/notice.h"
#include "job/text.h"

#define SHOWN_MAX 1200
#define LINE_TEXT_MAX 2000
#define KNOWN_MAX 1200
#define TEXT_MAX 8000
#define ALIKE_MAX 8    /* records that are compared, the latest ones */
#define TELL_TIMES 144 /* deliveries, 10 minutes apart: a day, as for every notice */

/* The whole message for people: cut, control characters blank, secrets as ***. */
static void show(const struct str *text, char shown[SHOWN_MAX])
{
    AUTO_STR plain = STR_MAX((size_t)2 * MESSAGE_BYTES_MAX), head = STR_MAX(2 * SHOWN_MAX);
    enum decoded form = decode_message(text->p != NULL ? text->p : "", text->len, &plain);

    if (form == DECODED_LONG || form == DECODED_NOT_TEXT) {
        str_addf(&head, "(%zu bytes that are no message)", text->len);
        str_copy(shown, SHOWN_MAX, str_c(&head));
    } else
        text_mask(plain.p != NULL ? plain.p : "", shown, SHOWN_MAX);
}

struct alike {
    size_t stem; /* length of the part of a default job_id before its dash and 8 digits */
    struct {
        char job_id[JOB_ID_MAX];
        int64_t saved_s;
    } latest[ALIKE_MAX];
    size_t count;
};

/* Keeps the ones saved last. */
static bool add_alike(void *ctx, const char *job_id, int64_t saved_s)
{
    struct alike *a = ctx;
    size_t place = a->count;

    if (strlen(job_id) != a->stem + 9 || strspn(job_id + a->stem + 1, "0123456789abcdef") != 8)
        return true;
    if (place == ALIKE_MAX) {
        place = 0;
        for (size_t i = 1; i < ALIKE_MAX; i++)
            if (a->latest[i].saved_s < a->latest[place].saved_s)
                place = i;
        if (a->latest[place].saved_s >= saved_s)
            return true;
    } else
        a->count++;
    str_copy(a->latest[place].job_id, sizeof a->latest[place].job_id, job_id);
    a->latest[place].saved_s = saved_s;
    return true;
}

/* The message named no job, and the host has given its copy another Id: a job with the same request may be its own, or a former one's. */
static enum err_code find_alike(const struct app *app, const struct message *m, struct str *known, struct err *err)
{
    const struct storage *s = &app->controller->storage;
    struct alike a = {.stem = strlen(m->default_job_id) - 9};
    AUTO_RECORD found = {0};
    char prefix[JOB_ID_MAX], when[DATE_ISO];

    str_copy(prefix, a.stem + 2, m->default_job_id);
    enum err_code code = ledger_list(s, prefix, add_alike, &a, err);
    for (size_t i = 0; code == OK && i < a.count; i++) {
        AUTO_RECORD rec = {0};
        code = ledger_load(s, a.latest[i].job_id, &rec, err);
        if (code == OK && rec.state.reason != REASON_MESSAGE && rec.state.accepted_s > found.state.accepted_s &&
            request_same(&rec.request, &m->request)) {
            struct record former = found;
            found = rec;
            rec = former;
        }
    }
    if (code != OK)
        return code;
    if (found.job_id[0] == '\0') {
        str_add(known, "No job has this request: nothing was started.");
        return OK;
    }
    date_iso(found.state.accepted_s, when);
    str_addf(known, "A job with the same request was accepted at %s: ", when);
    notice_status(&found, controller_now_s(app->controller), known);
    str_add(known, ". If it is this one, nothing is lost, and nothing is to be sent again.");
    return OK;
}

/* The job that the message names. When it has another request, the message gets that fault, and a corrected line. */
static enum err_code find_named(const struct app *app, struct message *m, struct str *known, bool *saved, struct err *err)
{
    AUTO_RECORD rec = {0};
    enum err_code code = ledger_load(&app->controller->storage, m->request.job_id, &rec, err);

    if (code == ERR_ABSENT) {
        str_addf(known, "There is no job `%s`: nothing was started.", m->request.job_name);
        return OK;
    }
    if (code != OK)
        return code;
    *saved = intake_same_content(app, m, &rec);
    if (*saved) {
        str_add(known, "Its job is known. ");
        notice_status(&rec, controller_now_s(app->controller), known);
        str_add(known, ".");
    } else
        message_fault(m, "E10", "job_id", "`%s` belongs to another request (%s)", rec.request.job_name,
                      job_machine_words[rec.state.machine]);
    return OK;
}

static void find_job(const struct app *app, struct message *m, struct str *known, bool *saved)
{
    struct err err = {0};

    if (m->action != ACTION_TRAIN || m->faults > 0)
        return;
    enum err_code code = m->request.job_id_given ? find_named(app, m, known, saved, &err) : find_alike(app, m, known, &err);
    if (code != OK) {
        log_line(LOG_WARN, "%s", err.msg);
        str_clear(known);
        str_add(known, "Whether it became a job cannot be seen now: storage does not answer.");
    }
}

/* A line to send again: corrected, or in its shortest form; any other message as it came. Never one with a secret. */
static void write_line(const struct app *app, const struct message *m, const char *shown, struct str *line)
{
    if (m->faults > 0)
        str_add(line, m->corrected);
    else if (m->action == ACTION_TRAIN)
        message_line(&m->request, &app->defaults, line);
    else if (strstr(shown, "...") == NULL)
        str_add(line, shown);
    if (line->failed || text_has_secret(str_c(line)) || strstr(str_c(line), "***") != NULL)
        str_clear(line);
}

/* Tells people; false when nobody could be told. What lies in the bell's queue and is no bell may be a train message that was put there. */
static bool tell(const struct app *app, const struct invocation *inv, struct message *m, bool bell)
{
    char shown[SHOWN_MAX], why[WHY_MAX] = "", masked[WHY_MAX];
    bool saved = false, train = m->action == ACTION_TRAIN && m->faults == 0, quiet = bell && !train;
    AUTO_STR known = STR_MAX(KNOWN_MAX), faults = STR_MAX(KNOWN_MAX), line = STR_MAX(LINE_TEXT_MAX), text = STR_MAX(TEXT_MAX);

    show(&inv->text, shown);
    failures_find(app->failures, &inv->text, why);
    text_mask(why, masked, sizeof masked);
    if (bell)
        str_add(&known, train ? "It is no bell but a train message, which belongs into queue `" QUEUE_MESSAGES "`."
                              : "It is no bell: nothing was done, and nothing is lost.");
    else
        find_job(app, m, &known, &saved);
    if (!quiet)
        notice_faults(m, &faults);
    write_line(app, m, shown, &line);
    struct lost lost = {
        .queue = bell ? QUEUE_BELL : QUEUE_MESSAGES,
        .shown = shown,
        .message_id = inv->message_id,
        .why = masked,
        .known = str_c(&known) != NULL ? str_c(&known) : "",
        .saved = saved,
        .faults = str_c(&faults) != NULL ? str_c(&faults) : m->fault[0].text,
        .line = quiet ? NULL : str_c(&line),
    };
    lost_text(&lost, &text);
    return tell_lost(app->controller, saved || quiet ? "" : m->request.zip, str_c(&text) != NULL ? str_c(&text) : shown);
}

enum err_code js_queue_items_poison(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    const struct app *app = ctx;
    __attribute__((cleanup(message_done))) struct message m = {0};

    http_scope(inv->deadline_ms);
    enum err_code code = message_read(inv->text.p, inv->text.len, inv->message_id, &app->defaults, &m, err);
    if (code != OK)
        return code;
    if (!tell(app, inv, &m, false) && inv->dequeue_count < TELL_TIMES)
        return err_set(err, ERR_UNREACHABLE, "nobody could be told of a lost message: neither Slack nor share `train` took it");
    str_add(said, "a lost message was told");
    return OK;
}

/* A bell names a job that is looked at once a minute: nothing is lost with it. */
static void say_bell(const struct app *app, const char *job_id, int64_t attempt, struct str *said)
{
    AUTO_RECORD rec = {0};
    struct err err = {0};
    enum err_code code = ledger_load(&app->controller->storage, job_id, &rec, &err);

    log_scope(NULL, job_id);
    if (code == OK)
        str_addf(said, "a bell for job %s, attempt %lld, failed again and again; nothing is lost: it is %s, attempt %d%s", job_id,
                 (long long)attempt, job_machine_words[rec.state.machine], rec.state.attempt,
                 rec.state.machine == MACHINE_CLOSED ? "" : ", and job-watch looks at it every minute");
    else if (code == ERR_ABSENT)
        str_addf(said, "a bell for job %s failed again and again; there is no such job", job_id);
    else
        str_addf(said, "a bell for job %s failed again and again; job-watch looks at it every minute, if it is there (%s)", job_id,
                 err.msg);
    log_line(LOG_WARN, "%s", str_c(said) != NULL ? str_c(said) : "a bell failed again and again");
}

enum err_code delete_resources_poison(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    const struct app *app = ctx;
    __attribute__((cleanup(message_done))) struct message m = {0};
    char job_id[JOB_ID_MAX];
    int64_t attempt;

    http_scope(inv->deadline_ms);
    if (delete_resources_bell(&inv->text, job_id, &attempt)) {
        say_bell(app, job_id, attempt, said);
        return OK;
    }
    if (delete_resources_is_done(&inv->text)) {
        str_add(said, "the word `done` failed again and again; nothing is lost: job-watch looks at every live job every minute");
        log_line(LOG_WARN, "%s", str_c(said));
        return OK;
    }
    enum err_code code = message_read(inv->text.p, inv->text.len, inv->message_id, &app->defaults, &m, err);
    if (code != OK)
        return code;
    (void)tell(app, inv, &m, true);
    str_add(said, "what was no bell was told");
    return OK;
}
