/* names.h - every name that is derived from a job, in one place. Pure. */
#ifndef NAMES_H
#define NAMES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWNER_MAX 13 /* 12 hex + NUL */
#define SLUG_MAX 48  /* 40 + '-' + 6 hex + NUL */
#define GROUP_MAX 91

#define CONTAINER_JOBS "jobs"
#define CONTAINER_FILES "job-files"
#define CONTAINER_MODEL "model"
#define SHARE_TRAIN "train"
#define SHARE_LOGS "logs"
#define QUEUE_MESSAGES "js-queue-items"
#define QUEUE_BELL "delete-resources"
#define DEPLOYMENT_NAME "train"
#define VM_NAME "train-vm"

/* ^[a-z0-9][a-z0-9._-]{0,63}$, no "..", not ending in a dot: what may stand in names of blobs and tags. */
bool names_is_job_id(const char *job_id);
/* 12 hex of sha256("<account>/<container>"): tells this app's groups from another's in one subscription. */
void names_owner(const char *account, char out[OWNER_MAX]);
/* Lower-case letters, digits and dashes of job_id, at most 40, '-', 6 hex of sha256("<owner>/<job_id>"): `A.b` and `a-b` cannot collide. */
void names_slug(const char *owner, const char *job_id, char out[SLUG_MAX]);
/* "<prefix>-<slug>-<attempt>" */
void names_group(const char *prefix, const char *slug, int32_t attempt, char out[GROUP_MAX]);
#endif
