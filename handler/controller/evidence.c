#include "controller/evidence.h"

#include <stdio.h>

#include "azure/link.h"
#include "base/log.h"
#include "job/console.h"
#include "job/inquest.h"

#define BUDGET_MS (60 * 1000)
#define DELETION_MS (20 * 1000) /* what the invocation must have left behind it */
#define CONSOLE_MS (18 * 1000)  /* for the link, and again for the console behind it */
#define SMALL_MS (6 * 1000)     /* for the status, and again for the log: the rest is for writing */
#define CONSOLE_MAX (1024 * 1024)
#define STATUS_MAX (128 * 1024)
#define LOG_TAIL (16 * 1024)
#define TEXT_MAX (64 * 1024)
#define SHOWN_LINES 5

/* What was found. */
struct found {
    struct str console, status, log; /* clean */
    char serial_file[96], note[320];
};

static void found_done(struct found *f)
{
    str_done(&f->console);
    str_done(&f->status);
    str_done(&f->log);
}

static void read_console(const struct errand *e, const struct record *rec, struct found *f)
{
    struct arm arm;
    struct err err = {0};
    char group[GROUP_MAX];
    bool cut = false;
    AUTO_SECRET link = {0};
    AUTO_STR raw = STR_MAX(CONSOLE_MAX);

    controller_group(rec, group);
    enum err_code code = controller_arm(e->c, rec, &arm, &err);
    arm.call_ms = CONSOLE_MS;
    if (code == OK)
        code = arm_vm_console(&arm, group, VM_NAME, &link, &err);
    if (code == OK)
        code = link_tail(e->c->http, &link, CONSOLE_MS, &raw, &cut, &err);
    if (code == OK)
        console_clean(raw.p != NULL ? raw.p : "", raw.len, cut, &f->console);
    if (code != OK) {
        snprintf(f->note, sizeof f->note, "none: %.300s", err.msg);
        log_line(LOG_WARN, "console: %s", err.msg);
    } else if (f->console.len == 0)
        str_copy(f->note, sizeof f->note, "none: it is empty");
}

static void read_status(const struct errand *e, const struct record *rec, struct found *f)
{
    char name[BLOB_NAME_MAX];
    struct err err = {0};

    controller_status(rec, name);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_FILES, name, &f->status, NULL, &err);
    if (code != OK)
        str_clear(&f->status);
    if (code != OK && code != ERR_ABSENT)
        log_line(LOG_WARN, "status: %s", err.msg);
}

/* The end of train.log, for a machine that could not report its own last lines. */
static void read_log(const struct errand *e, const struct record *rec, struct found *f)
{
    const struct storage *s = &e->c->storage;
    struct file_info info = {0};
    struct err err = {0};
    AUTO_STR path = STR_MAX(128), raw = STR_MAX(LOG_TAIL);

    if (rec->report.log[0] != '\0') {
        str_add(&f->log, rec->report.log);
        return;
    }
    str_addf(&path, "%s/train.log", rec->request.job_name);
    enum err_code code = files_head(s, SHARE_LOGS, str_c(&path), &info, &err);
    int64_t from = info.size > LOG_TAIL ? info.size - LOG_TAIL : 0;
    if (code == OK && info.size > 0)
        code = files_read(s, SHARE_LOGS, str_c(&path), from, info.size - from, &raw, NULL, &err);
    if (code == OK)
        console_clean(raw.p != NULL ? raw.p : "", raw.len, from > 0, &f->log);
    else if (code != ERR_ABSENT)
        log_line(LOG_WARN, "train.log: %s", err.msg);
}

static bool write_file(const struct errand *e, const char *path, const struct str *text)
{
    struct err err = {0};

    if (str_check(text, "a file of evidence", &err) == OK && files_write(&e->c->storage, SHARE_LOGS, path, text->p, text->len, &err) == OK)
        return true;
    log_line(LOG_WARN, "logs/%s: %s", path, err.msg);
    return false;
}

/* Another look at the same machine was here before it was deleted, and had its console to read. */
static bool kept_with_console(const struct errand *e, const struct found *f, const char *path)
{
    struct file_info info = {0};
    struct err err = {0};

    return f->console.len == 0 && files_head(&e->c->storage, SHARE_LOGS, path, &info, &err) == OK && info.size > 0;
}

static const char *text_of(const struct str *s)
{
    return str_c(s) != NULL ? str_c(s) : "";
}

static void write_all(const struct errand *e, struct record *rec, struct found *f)
{
    char path[96], group[GROUP_MAX], log[INQUEST_LINES_MAX], serial[INQUEST_LINES_MAX];
    AUTO_STR text = STR_MAX(TEXT_MAX);

    snprintf(path, sizeof path, "%s/serial-%d.log", rec->request.job_name, rec->state.attempt);
    if (f->console.len > 0 && write_file(e, path, &f->console))
        str_copy(f->serial_file, sizeof f->serial_file, path);
    controller_group(rec, group);
    console_last(text_of(&f->log), INQUEST_LINES, log, sizeof log);
    console_last(text_of(&f->console), INQUEST_LINES, serial, sizeof serial);
    const struct inquest i = {
        .now_s = controller_now_s(e->c),
        .group = group,
        .status = text_of(&f->status),
        .status_len = f->status.len,
        .log = log,
        .serial = serial,
        .serial_file = f->serial_file,
        .serial_note = f->note,
    };
    inquest_text(rec, &i, &text);
    console_last(log[0] != '\0' ? log : serial, SHOWN_LINES, rec->last_lines, sizeof rec->last_lines);
    snprintf(path, sizeof path, "%s/attempt-%d.txt", rec->request.job_name, rec->state.attempt);
    if (kept_with_console(e, f, path) || write_file(e, path, &text))
        str_copy(rec->evidence, sizeof rec->evidence, path);
}

void evidence_keep(const struct errand *e, struct record *rec)
{
    const int64_t now_ms = clock_mono_ms(e->c->clock), ends_ms = http_scope_ends();
    __attribute__((cleanup(found_done))) struct found f = {
        .console = STR_MAX(4 * CONSOLE_MAX), .status = STR_MAX(STATUS_MAX), .log = STR_MAX(2 * LOG_TAIL)};

    rec->evidence[0] = rec->last_lines[0] = '\0';
    if (ends_ms > 0 && ends_ms - now_ms < BUDGET_MS + DELETION_MS) {
        log_line(LOG_WARN, "no time is left to keep what tells why it failed: its machine is deleted first of all");
        return;
    }
    http_scope(now_ms + BUDGET_MS);
    read_console(e, rec, &f);
    http_scope(clock_mono_ms(e->c->clock) + SMALL_MS);
    read_status(e, rec, &f);
    http_scope(clock_mono_ms(e->c->clock) + SMALL_MS);
    read_log(e, rec, &f);
    http_scope(now_ms + BUDGET_MS);
    write_all(e, rec, &f);
    http_scope(ends_ms);
}
