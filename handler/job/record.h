/* record.h - a job's record: what is saved as jobs/record/<job_id>.json, for ever. Pure.
 *
 * terms and state make decisions; everything else explains them, names things, or is what acting needs. A record owns its request;
 * record_done frees it. */
#ifndef RECORD_H
#define RECORD_H
#include "job/names.h"
#include "job/report.h"
#include "job/request.h"
#include "job/step.h"

#define RECORD_VERSION 1
#define RECORD_BYTES_MAX (256 * 1024)

/* A job that has no machine: it publishes files that are there already. */
enum job_release {
    RELEASE_NONE,
    RELEASE_PUBLISH, /* those of a job whose model was kept */
    RELEASE_ROLLBACK /* those of a version of the line */
};
extern const char *const job_release_words[];

struct record {
    char job_id[JOB_ID_MAX];
    char message_id[64];
    char owner[OWNER_MAX], slug[SLUG_MAX], group_prefix[40], location[64]; /* frozen: later settings do not rename what exists.
                                                                              location: the first of the request's regions, and the only
                                                                              one of a record that was written before there were several */
    char trainer[24], scripts_sha256[65];
    char model_name[MODEL_NAME_MAX]; /* as the trainer calls it; "": of former times, when scripts were told request.model */
    int64_t input_size;              /* pixels; 0: the model's own */
    struct request request;
    struct job_terms terms;
    struct job_state state;
    int64_t next_look_s;

    char zip_etag[80], zip_note[320]; /* as last seen from outside; zip_note says what is missing */
    int64_t zip_size;
    char parent_name[JOB_ID_MAX];  /* the former job that is continued, as it was typed (its folder in share logs); "": none */
    int64_t validation;            /* 1: its line had a validation zip when it was accepted */
    int64_t baseline;              /* the line's current version when the machine was ordered; 0: none */
    int64_t place;                 /* in the queue, when it waits for a slot; 0: it does not */
    char trouble[480];             /* what refused, failed or did not match, in words for people */
    char subscription[64];         /* where its machine was ordered */
    int64_t group_made;            /* the attempt whose group we have made, or have seen with our tags; 0: none */
    char delete_note[240];         /* why the group is still there */
    int64_t breaking;              /* 1: the published model lacks a class that its line had */
    enum gate_code gate;           /* why it is published, or kept */
    char gate_note[GATE_TEXT_MAX]; /* the same in words, with the numbers */
    /* The bill (job/bill.h). */
    int64_t dearest_micro_usd;          /* an hour of the dearest machine that it may get; 0: not known */
    int64_t price_micro_usd;            /* an hour of what was ordered last; 0: not known */
    int64_t bill_since_s, bill_attempt; /* the latest machine */
    int64_t bill_gone_s;                /* when its group first answered 404 while it was deleted */
    int64_t billed_s, billed_micro_usd; /* of those before it */
    int64_t unpriced;                   /* 1: the price of one of those is not known */
    char vm_id[48];
    struct report report;  /* outcome none until there is one */
    char evidence[96];     /* the file in share logs about the last attempt that failed */
    char last_lines[1520]; /* the last five that its machine left, each ended by a newline */
    char manifest_etag[80], manifest_sha256[65];
    struct model_file file[MODEL_FILES_MAX];
    int32_t files;
    char metric[24], classes[512];
    double value;
    int64_t images, images_train, epochs_done;
    char refused[1600], shown[256]; /* of a rejected message: its faults, and itself (cut) */
    char remark[400];               /* how the message was read, where that is not plain */
    char corrected[1024];           /* a line to paste: corrected, or to ask for the same once more */

    enum job_release release;
    char maker[JOB_ID_MAX], maker_name[JOB_ID_MAX]; /* of a release: the job that made the files */
    int64_t maker_attempt, from_version;            /* and where; from_version: of the line; 0: in out/ of the maker */
    char published_by[JOB_ID_MAX];                  /* of a kept model: the release that published it later, and as what */
    int64_t published_version;
    char legacy_note[400]; /* what became of the copies for devices of the former system, when not what one expects */

    char saved_by[17]; /* new with each save: after a lost reply it tells whose save won */

    char etag[80]; /* of the blob this was loaded from or saved to; not in the file */
};
void record_done(struct record *r);
#define AUTO_RECORD __attribute__((cleanup(record_done))) struct record

/* Where the present attempt runs, or the next one will. */
const char *record_size(const struct record *r);
const char *record_region(const struct record *r);

/* Whose manifest its files have: its own, or of the job whose files it publishes. */
const char *record_maker(const struct record *r);
int32_t record_maker_attempt(const struct record *r);

void record_write(struct str *to, const struct record *r);
/* ERR_INPUT for a file that is not a record of a version this program knows. */
enum err_code record_read(const char *text, size_t len, struct record *r, struct err *err) MUST_CHECK;
#endif
