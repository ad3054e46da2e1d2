#include "job/record.h"

#include <stddef.h>
#include <string.h>

/* One row per flat field, so that reading and writing cannot differ. */
enum kind { TEXT, INT32, INT64, NUMBER, WORD };
struct row {
    const char *name;
    enum kind kind;
    size_t at, size;
    const char *const *words; /* WORD: the enum's names in order, ended by NULL */
};
#define ROW(what, type, field)                                                                                                             \
    {                                                                                                                                      \
#field, what, offsetof(struct type, field), sizeof(((struct type *)0)->field), NULL                                                \
    }
#define ROW_WORD(type, field, table)                                                                                                       \
    {                                                                                                                                      \
#field, WORD, offsetof(struct type, field), sizeof(int32_t), table                                                                 \
    }
#define ROWS_END                                                                                                                           \
    {                                                                                                                                      \
        NULL, TEXT, 0, 0, NULL                                                                                                             \
    }
_Static_assert(sizeof(enum job_machine) == sizeof(int32_t), "enums are read and written as int32_t");

const char *const job_release_words[] = {"none", "publish", "rollback", NULL};

static const struct row TERMS[] = {
    ROW(INT32, job_terms, upload_wait_s), ROW(INT32, job_terms, create_wait_s),
    ROW(INT32, job_terms, silence_s),     ROW(INT32, job_terms, run_s),
    ROW(INT32, job_terms, run_max_s),     ROW(INT32, job_terms, publish_wait_s),
    ROW(INT32, job_terms, tell_wait_s),   ROW(INT32, job_terms, capacity_wait_s),
    ROW(INT32, job_terms, boot_wait_s),   ROW(INT32, job_terms, evictions_max),
    ROW(INT32, job_terms, sizes),         ROW(INT32, job_terms, regions),
    ROW(INT32, job_terms, spot),          ROWS_END,
};
static const struct row STATE[] = {
    ROW_WORD(job_state, machine, job_machine_words),
    ROW_WORD(job_state, model, job_model_words),
    ROW_WORD(job_state, outcome, job_outcome_words),
    ROW_WORD(job_state, reason, job_reason_words),
    ROW_WORD(job_state, ended, job_reason_words),
    ROW(INT32, job_state, attempt),
    ROW(INT32, job_state, due),
    ROW(INT32, job_state, told),
    ROW(INT32, job_state, untold),
    ROW(INT32, job_state, size),
    ROW(INT32, job_state, region),
    ROW(INT32, job_state, on_demand),
    ROW(INT32, job_state, rounds),
    ROW(INT32, job_state, evictions),
    ROW(INT32, job_state, boots),
    ROW(INT32, job_state, ran),
    ROW(INT32, job_state, cancelled),
    ROW(INT32, job_state, control),
    ROW(INT64, job_state, version),
    ROW(INT64, job_state, accepted_s),
    ROW(INT64, job_state, started_s),
    ROW(INT64, job_state, train_until_s),
    ROW(INT64, job_state, deadline_s),
    ROW(INT64, job_state, hard_stop_s),
    ROW(INT64, job_state, machine_since_s),
    ROW(INT64, job_state, model_since_s),
    ROW(INT64, job_state, outcome_s),
    ROW(INT64, job_state, ordered_s),
    ROW(INT64, job_state, run_s),
    ROW(INT64, job_state, refused_s),
    ROW(INT64, job_state, not_before_s),
    ROW(INT64, job_state, zip_whole_s),
    ROW(INT64, job_state, tell_at_s),
    ROW(INT64, job_state, gone_since_s),
    ROW(INT64, job_state, lost_since_s),
    ROW(INT64, job_state, create_until_s),
    ROWS_END,
};
static const struct row FACTS[] = {
    ROW(TEXT, record, message_id),
    ROW(TEXT, record, owner),
    ROW(TEXT, record, slug),
    ROW(TEXT, record, group_prefix),
    ROW(TEXT, record, location),
    ROW(TEXT, record, trainer),
    ROW(TEXT, record, scripts_sha256),
    ROW(TEXT, record, model_name),
    ROW(INT64, record, input_size),
    ROW(INT64, record, next_look_s),
    ROW(TEXT, record, zip_etag),
    ROW(TEXT, record, zip_note),
    ROW(INT64, record, zip_size),
    ROW(INT64, record, validation),
    ROW(INT64, record, baseline),
    ROW(INT64, record, place),
    ROW(TEXT, record, trouble),
    ROW(TEXT, record, vm_id),
    ROW(TEXT, record, manifest_etag),
    ROW(TEXT, record, manifest_sha256),
    ROW(TEXT, record, metric),
    ROW(NUMBER, record, value),
    ROW(INT64, record, images),
    ROW(INT64, record, images_train),
    ROW(INT64, record, epochs_done),
    ROW(TEXT, record, classes),
    ROW(TEXT, record, refused),
    ROW(TEXT, record, shown),
    ROW(TEXT, record, remark),
    ROW(TEXT, record, delete_note),
    ROW(TEXT, record, evidence),
    ROW(TEXT, record, last_lines),
    ROW(TEXT, record, subscription),
    ROW(INT64, record, group_made),
    ROW(INT64, record, breaking),
    ROW_WORD(record, gate, gate_code_words),
    ROW(TEXT, record, gate_note),
    ROW(INT64, record, dearest_micro_usd),
    ROW(INT64, record, price_micro_usd),
    ROW(INT64, record, bill_since_s),
    ROW(INT64, record, bill_attempt),
    ROW(INT64, record, bill_gone_s),
    ROW(INT64, record, billed_s),
    ROW(INT64, record, billed_micro_usd),
    ROW(INT64, record, unpriced),
    ROW(TEXT, record, corrected),
    ROW_WORD(record, release, job_release_words),
    ROW(TEXT, record, maker),
    ROW(TEXT, record, maker_name),
    ROW(INT64, record, maker_attempt),
    ROW(INT64, record, from_version),
    ROW(TEXT, record, published_by),
    ROW(INT64, record, published_version),
    ROW(TEXT, record, legacy_note),
    ROW(TEXT, record, saved_by),
    ROW(TEXT, record, parent_name),
    ROWS_END,
};
static const struct row REPORT[] = {
    ROW_WORD(report, outcome, job_outcome_words),
    ROW(TEXT, report, stage),
    ROW(INT32, report, exit_code),
    ROW(TEXT, report, reason),
    ROW(TEXT, report, log),
    ROWS_END,
};
static const struct row MODEL_FILE[] = {
    ROW(TEXT, model_file, name), ROW(INT64, model_file, size), ROW(TEXT, model_file, sha256), ROW(TEXT, model_file, etag), ROWS_END,
};

static void write_rows(struct str *to, const struct row *rows, const void *from)
{
    for (const struct row *r = rows; r->name != NULL; r++) {
        const char *at = (const char *)from + r->at;
        int32_t narrow;
        int64_t wide;
        double number;
        switch (r->kind) {
        case TEXT:
            if (*at != '\0')
                json_put_text(to, r->name, at);
            break;
        case INT32:
        case WORD:
            memcpy(&narrow, at, sizeof narrow);
            if (r->kind == WORD)
                json_put_text(to, r->name, r->words[narrow]);
            else
                json_put_int(to, r->name, narrow);
            break;
        case INT64:
            memcpy(&wide, at, sizeof wide);
            json_put_int(to, r->name, wide);
            break;
        case NUMBER:
            memcpy(&number, at, sizeof number);
            json_put_number(to, r->name, number);
            break;
        }
    }
}

static bool word_index(const char *const *words, const char *text, int32_t *out)
{
    for (int32_t i = 0; text != NULL && words[i] != NULL; i++)
        if (str_is(words[i], text)) {
            *out = i;
            return true;
        }
    return false;
}

/* A text that is too long is cut: it explains, and must not make a job unreadable. What is absent keeps its zero: fields are added by later
 * versions, and empty texts are not written. */
static bool read_row(const struct row *r, const struct json *v, char *at)
{
    int32_t narrow;
    int64_t wide;
    double number;

    switch (r->kind) {
    case TEXT:
        if (json_text(v) == NULL)
            return false;
        str_copy(at, r->size, json_text(v));
        return true;
    case WORD:
        if (!word_index(r->words, json_text(v), &narrow))
            return false;
        memcpy(at, &narrow, sizeof narrow);
        return true;
    case INT32:
        if (!json_int(v, &wide) || wide < INT32_MIN || wide > INT32_MAX)
            return false;
        narrow = (int32_t)wide;
        memcpy(at, &narrow, sizeof narrow);
        return true;
    case INT64:
        if (!json_int(v, &wide))
            return false;
        memcpy(at, &wide, sizeof wide);
        return true;
    case NUMBER:
        if (!json_number(v, &number))
            return false;
        memcpy(at, &number, sizeof number);
        return true;
    }
    return false;
}

static enum err_code read_rows(const struct json *from, const struct row *rows, void *to, struct err *err)
{
    for (const struct row *r = rows; r->name != NULL; r++) {
        const struct json *v = json_get(from, r->name);
        if (v != NULL && !read_row(r, v, (char *)to + r->at))
            return err_set(err, ERR_INPUT, "record: `%s` is not what this program writes", r->name);
    }
    return OK;
}

void record_done(struct record *r)
{
    request_done(&r->request);
}

const char *record_size(const struct record *r)
{
    const struct places *p = &r->request.vm_sizes;
    return r->state.size >= 0 && r->state.size < p->count ? p->name[r->state.size] : places_first(p);
}

const char *record_region(const struct record *r)
{
    const struct places *p = &r->request.regions;
    return r->state.region >= 0 && r->state.region < p->count ? p->name[r->state.region] : r->location;
}

const char *record_maker(const struct record *r)
{
    return r->release != RELEASE_NONE ? r->maker : r->job_id;
}

int32_t record_maker_attempt(const struct record *r)
{
    return r->release != RELEASE_NONE ? (int32_t)r->maker_attempt : r->state.attempt;
}

void record_write(struct str *to, const struct record *r)
{
    json_open(to, NULL, '{');
    json_put_int(to, "v", RECORD_VERSION);
    json_put_text(to, "job_id", r->job_id);
    json_open(to, "state", '{');
    write_rows(to, STATE, &r->state);
    json_close(to, '}');
    json_open(to, "terms", '{');
    write_rows(to, TERMS, &r->terms);
    json_close(to, '}');
    request_write(to, "request", &r->request);
    write_rows(to, FACTS, r);
    if (r->report.outcome != OUTCOME_NONE) {
        json_open(to, "report", '{');
        write_rows(to, REPORT, &r->report);
        json_close(to, '}');
    }
    json_open(to, "files", '[');
    for (int32_t i = 0; i < r->files; i++) {
        json_open(to, NULL, '{');
        write_rows(to, MODEL_FILE, &r->file[i]);
        json_close(to, '}');
    }
    json_close(to, ']');
    json_close(to, '}');
}

enum err_code record_read(const char *text, size_t len, struct record *r, struct err *err)
{
    AUTO_JSON doc = NULL;
    enum err_code code = json_parse(text, len, 8, &doc, err);
    if (code != OK)
        return err_context(err, "record");
    if (json_get_int(doc, "v", 0) != RECORD_VERSION)
        return err_set(err, ERR_INPUT, "record: version %lld, this program knows %d", (long long)json_get_int(doc, "v", 0), RECORD_VERSION);
    const char *job_id = json_get_text(doc, "job_id");
    if (*job_id == '\0' || strlen(job_id) >= sizeof r->job_id)
        return err_set(err, ERR_INPUT, "record: no job_id");
    str_copy(r->job_id, sizeof r->job_id, job_id);

    const struct json *files = json_get(doc, "files");
    if (json_len(files) > MODEL_FILES_MAX)
        return err_set(err, ERR_INPUT, "record: too many files");
    code = read_rows(json_get(doc, "state"), STATE, &r->state, err);
    if (code == OK)
        code = read_rows(json_get(doc, "terms"), TERMS, &r->terms, err);
    if (code == OK)
        code = request_read(json_get(doc, "request"), &r->request, err);
    if (code == OK)
        code = read_rows(doc, FACTS, r, err);
    if (code == OK)
        code = read_rows(json_get(doc, "report"), REPORT, &r->report, err);
    char region[REGION_MAX];
    if (r->request.regions.count == 0 && region_plain(r->location, region, sizeof region))
        (void)places_add(&r->request.regions, region); /* of former times */
    for (size_t i = 0; code == OK && i < json_len(files); i++) {
        code = read_rows(json_at(files, i), MODEL_FILE, &r->file[i], err);
        r->files++;
    }
    return code;
}
