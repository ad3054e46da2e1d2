/* report.h - what a machine leaves behind: report.json, the manifest and its status, read strictly (they are written by a machine that may
 * be broken or forged). Pure. */
#ifndef REPORT_H
#define REPORT_H
#include "job/gate.h"
#include "job/step.h"

#define REPORT_LOG_MAX 4096
struct report {
    enum job_outcome outcome; /* succeeded, failed or timed_out */
    char stage[24];
    int32_t exit_code;
    char reason[400];
    char log[REPORT_LOG_MAX]; /* the last lines, each ended by a newline */
};
enum err_code report_read(const char *text, size_t len, const char *job_id, int32_t attempt, struct report *out,
                          struct err *err) MUST_CHECK;

#define MODEL_FILES_MAX 8
struct model_file {
    char name[32];
    int64_t size;
    char sha256[65];
    char etag[80]; /* of the blob as it was verified; "" before */
};
struct manifest {
    struct model_file file[MODEL_FILES_MAX];
    int32_t files;
    char metric[24]; /* "map" */
    double value;
    int64_t images;    /* validation images that were measured */
    char classes[512]; /* as typed, comma-joined, cut */
    int64_t images_train, epochs_done;
    char (*class_name)[GATE_CLASS_MAX]; /* classes_count, malloc'd */
    int32_t classes_count;
    struct gate_facts gate;
};
void manifest_done(struct manifest *m);
#define AUTO_MANIFEST __attribute__((cleanup(manifest_done))) struct manifest
/* Complete: version 1, of this job, attempt, line and task, with model.bin and model.xml, only plain known file names, sizes and sha256
 * well-formed, and a gate block, if there is one, that holds what it must. */
enum err_code manifest_read(const char *text, size_t len, const char *job_id, int32_t attempt, const char *line, const char *task,
                            struct manifest *out, struct err *err) MUST_CHECK;

/* beat_s of a status.json; 0 when it cannot be read. */
int64_t status_beat(const char *text, size_t len);
#endif
