/* controller.h - what carrying out a job needs: the account, ARM, the channels to people, and the settings that matter.
 *
 * Built once by main.c; shared by all threads; read-only but for what is found out once, under its lock. */
#ifndef CONTROLLER_H
#define CONTROLLER_H
#include <pthread.h>

#include "azure/arm_quota.h"
#include "azure/blob.h"
#include "azure/files.h"
#include "azure/prices.h"
#include "controller/assets.h"
#include "job/record.h"

struct controller {
    struct storage storage;
    struct arm arm;       /* through controller_arm only */
    pthread_mutex_t lock; /* over what is found out once (subscription, storage_made), sign_in_told and swept_s */
    bool storage_made;
    pthread_mutex_t upload;       /* one upload of the scripts at a time: they are large */
    bool sign_in_told;            /* people know that the app cannot sign in */
    int64_t swept_s;              /* when leftovers were looked for last */
    char suspect[16][JOB_ID_MAX]; /* slot holders without a record at the last sweep; read and written by the one that sweeps */
    char refused[8][GROUP_MAX];   /* leftovers that ARM refuses to delete, as people know; read and written by the one that sweeps */
    struct arm_quota *quota;
    struct prices *prices;
    const struct http *http;
    const struct clock *clock;
    struct secret slack_url; /* empty: nobody is told by Slack */
    struct assets assets;
    char group_prefix[40], location[64], owner[OWNER_MAX], trainer[24];
    char vm_storage_host[64]; /* "": machines reach storage where the app does */
    char image_id[512];       /* "": the template's own image */
    int32_t max_jobs, upload_wait_s, max_job_minutes;
    bool legacy_replace; /* LEGACY_ROOT */
};

/* One piece of work within one invocation. Nothing is created after until_s; http_scope bounds every call of the thread. */
struct errand {
    struct controller *c;
    int64_t until_s;
};

/* ARM as the job's machine was ordered with it: a subscription that was set anew since does not hide what runs in the former one. */
enum err_code controller_arm(struct controller *c, const struct record *rec, struct arm *ret, struct err *err) MUST_CHECK;
/* Containers, queues and shares, made when missing; once per process, so later calls cost nothing. */
enum err_code controller_storage(struct controller *c, struct err *err) MUST_CHECK;
bool controller_storage_is_made(struct controller *c);
int64_t controller_now_s(const struct controller *c);
/* The group of the record's present attempt. */
void controller_group(const struct record *rec, char out[GROUP_MAX]);
/* "out/<job_id>/<attempt>/<file>", "claim/<job_id>/<attempt>", "status/<job_id>/<attempt>.json", "control/<job_id>.json",
 * "scripts/<sha256>.tar.gz" in container job-files. */
#define BLOB_NAME_MAX 256
void controller_out(const struct record *rec, const char *file, char out[BLOB_NAME_MAX]);
void controller_claim(const struct record *rec, char out[BLOB_NAME_MAX]);
void controller_status(const struct record *rec, char out[BLOB_NAME_MAX]);
void controller_scripts(const struct record *rec, char out[BLOB_NAME_MAX]);
void controller_control(const struct record *rec, char out[BLOB_NAME_MAX]);
/* "validation/<line>.zip" in share train: images that every job of the line is measured on, and none is trained on. */
void controller_validation(const char *line, char out[BLOB_NAME_MAX]);
#endif
