/* ledger.h - the handler's only database: container `jobs` with records, live markers, slots and lines.
 *
 * Every change is conditional (create-once or If-Match); whoever loses reads again. Safe between threads, processes and machines. */
#ifndef LEDGER_H
#define LEDGER_H
#include "azure/storage.h"
#include "job/record.h"

/* ERR_ABSENT: no such job. */
enum err_code ledger_load(const struct storage *s, const char *job_id, struct record *rec, struct err *err) MUST_CHECK;
/* If-Match on the etag it was loaded with; sets the new one. ERR_CONFLICT: somebody else saved. A lost reply of our own save is none. */
enum err_code ledger_save(const struct storage *s, struct record *rec, struct err *err) MUST_CHECK;
/* Whether it is still as it was loaded or saved last. ERR_CONFLICT: somebody else has saved it since. */
enum err_code ledger_unchanged(const struct storage *s, const struct record *rec, struct err *err) MUST_CHECK;
/* A live marker; one that is there is written anew, so that it is not taken for an orphan. */
enum err_code ledger_mark(const struct storage *s, const char *job_id, struct err *err) MUST_CHECK;
/* Marker first, then the record, create-once. ERR_CONFLICT: the job exists. */
enum err_code ledger_accept(const struct storage *s, struct record *rec, struct err *err) MUST_CHECK;
enum err_code ledger_forget(const struct storage *s, const char *job_id, struct err *err) MUST_CHECK;

/* Visits the job_ids of all records that begin with prefix, in their order, with the time of their last save. Return false to stop. */
typedef bool (*ledger_visit)(void *ctx, const char *job_id, int64_t saved_s);
enum err_code ledger_list(const struct storage *s, const char *prefix, ledger_visit visit, void *ctx, struct err *err) MUST_CHECK;

struct live_job {
    char job_id[JOB_ID_MAX];
    char etag[80];
    int64_t since_s;
};
/* All live/ markers; *ret is malloc'd. */
enum err_code ledger_live(const struct storage *s, struct live_job **ret, size_t *count, struct err *err) MUST_CHECK;
/* Removes a marker that has had no record for an hour, if it is still the one that was listed, and gives the job's slot back. */
enum err_code ledger_drop_orphan(const struct storage *s, const struct live_job *job, struct err *err) MUST_CHECK;

/* slots.json: {"v":1,"holders":[...],"waiting":[...]}, first come first served. *place is 0 with a slot, else the place in the queue. A
 * slot may be taken a moment before the job is saved; one that nobody came for is found by the sweep. */
enum err_code ledger_take_slot(const struct storage *s, const char *job_id, int32_t max_jobs, int64_t *place, struct err *err) MUST_CHECK;
enum err_code ledger_free_slot(const struct storage *s, const char *job_id, struct err *err) MUST_CHECK;

/* Every job that holds a slot or waits for one; *ret is malloc'd. */
enum err_code ledger_slot_jobs(const struct storage *s, char (**ret)[JOB_ID_MAX], size_t *count, struct err *err) MUST_CHECK;

/* True for a job that is closed. What a drive that was late has taken for it is free. */
bool ledger_is_over(const struct storage *s, const char *job_id);
/* True when there is no marker of it. */
bool ledger_is_unmarked(const struct storage *s, const char *job_id);

/* lines/<line>.json: {"v":1,"task","classes":[...],"version","taken","job_id"}: what a line carries, and the one job that publishes there
 * now. */
struct line {
    char task[32];
    int64_t taken;           /* the highest version ever given out: none is used twice, also not after a failure */
    int64_t version;         /* of its current model; 0: none yet */
    char job_id[JOB_ID_MAX]; /* "": free */
    char (*class_name)[257]; /* classes_count, malloc'd */
    int32_t classes_count;
    char etag[80];
};
void line_done(struct line *l);
#define AUTO_LINE __attribute__((cleanup(line_done))) struct line
/* A line that does not exist yet is OK with version 0, task "" and etag "". */
enum err_code ledger_line(const struct storage *s, const char *name, struct line *out, struct err *err) MUST_CHECK;
struct line_taking {
    const char *name, *task, *job_id;
    int64_t above; /* the version is above this one, and above every one given out before */
    /* Asked with the line as it is before it is taken, which is done only as it was then (by ETag): false leaves it alone. NULL: any. */
    bool (*judge)(void *ctx, const struct line *now);
    void *ctx;
};
/* ERR_INPUT: the line carries another task; ERR_REFUSED: judge said no; ERR_CONFLICT: another job publishes there. */
enum err_code ledger_take_line(const struct storage *s, const struct line_taking *t, int64_t *version, struct err *err) MUST_CHECK;
/* Gives it back if it is the job's; published says what it carries from now on (NULL: as before). */
enum err_code ledger_free_line(const struct storage *s, const char *name, const char *job_id, const struct line *published,
                               struct err *err) MUST_CHECK;
#endif
