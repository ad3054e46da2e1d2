/* request.h - what a train message asks for, normalised. Flat and bounded: it is copied freely, and saved in the record. Pure. */
#ifndef REQUEST_H
#define REQUEST_H
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/str.h"
#include "job/gate.h"
#include "job/step.h"

#define JOB_ID_MAX 65 /* 64 + NUL */
#define ZIP_MAX 256
#define CLASSES_MAX 200
#define CLASS_NAME_MAX 257 /* 64 characters of UTF-8 */
#define LINE_MAX_ 41
#define MODEL_NAME_MAX 40
#define PLACES_MAX 5 /* sizes, or regions, of one request */
#define PLACE_MAX 70 /* Standard_ and 60 characters + NUL */

struct places { /* sizes or regions, different ones, in the order in which they are tried */
    char name[PLACES_MAX][PLACE_MAX];
    int32_t count;
};
const char *places_first(const struct places *p);                 /* "" when there is none */
bool places_has(const struct places *p, const char *name);        /* case ignored */
bool places_add(struct places *p, const char *name);              /* false: full, too long, empty, or there already */
bool places_same(const struct places *a, const struct places *b); /* the order too */
/* The next of a comma list, without the blanks around it; "" when it is too long for one. False at the end. */
bool places_next(const char **list, char name[PLACE_MAX]);
/* The first of a comma list, as many as there is room for. */
void places_split(struct places *p, const char *list);

#define REGION_MAX 41 /* 40 characters + NUL */
/* A region's name as Azure writes it: `Japan East` is `japaneast`. False when it cannot be one. */
bool region_plain(const char *name, char *out, size_t size);

const char *spot_name(enum job_spot s);                /* "prefer": Azure's cheaper machines, which it may take away */
bool spot_parse(const char *name, enum job_spot *out); /* false when unknown */

enum task { TASK_NONE, TASK_CLASSIFICATION, TASK_DETECTION, TASK_INSTANCE_SEGMENTATION }; /* the old dl_type 1..3 */
const char *task_name(enum task t);                                                       /* "detection" */
enum task task_parse(const char *name);                                                   /* TASK_NONE when unknown */

struct request {
    char zip[ZIP_MAX];
    char dataset_sha256[65];   /* "" when not given */
    char job_id[JOB_ID_MAX];   /* the key: lower case; always set (default from zip and message Id) */
    char job_name[JOB_ID_MAX]; /* as typed */
    bool job_id_given;         /* typed by the sender, not derived */
    struct places vm_sizes;    /* frozen at acceptance, as the regions are: later settings do not change what a job may order */
    struct places regions;     /* lower case letters and digits */
    enum job_spot spot;
    bool force;                      /* run although the same was trained before */
    char (*classes)[CLASS_NAME_MAX]; /* classes_count names, malloc'd, order kept; NULL: read from the zip */
    int32_t classes_count;
    int32_t epochs;
    enum task task;
    int32_t model;                   /* the old model_type; 0: by name */
    char model_name[MODEL_NAME_MAX]; /* of job/models.h; "": by number */
    bool pretrained;                 /* begins with public weights, where it does not continue a former job */
    char continue_from[JOB_ID_MAX];  /* "" none, "auto" the job of the line's current model, else a job_id (lower case) */
    char line[LINE_MAX_];            /* lower case, [a-z0-9-] */
    int32_t max_minutes;             /* max_hours x 60 */
    int64_t max_micro_usd;           /* max_cost; 0: not given */
    double split_train;              /* 0.7 */
    int64_t split_seed;
    bool split_video; /* group: video (default) or none */
    enum publish_policy publish;
    char requested_by[65], note[201];
};
void request_done(struct request *r);
#define AUTO_REQ __attribute__((cleanup(request_done))) struct request
bool request_copy(struct request *to, const struct request *from); /* false without memory */

/* As an object member of the record, and back. request_read refuses what does not follow the types (a record is only written by this
 * program). In a record of former times `vm_size` is the only size, there are no regions (record.h fills them in), no spot, no force and
 * no publish. */
void request_write(struct str *to, const char *name, const struct request *r);
enum err_code request_read(const struct json *object, struct request *r, struct err *err) MUST_CHECK;
/* Same content: everything that changes what is trained and on what (not the job_id, not force, not whether it is published, not who
 * asks or the note). */
void request_digest(const struct request *r, char hex[65]); /* sha256 over the same; equal for requests that are the same */
bool request_same(const struct request *a, const struct request *b);
#endif
