/* traces.h - what others leave in storage: the annotator's zip, and a machine's claim, status, report and manifest. Looking only. */
#ifndef TRACES_H
#define TRACES_H
#include "controller/controller.h"

#define TRACES_STILL_S 20 /* a half-written file is visible at full length */

/* YES: the upload stands still (two answers with one ETag, 20 s old by the answer's own Date) and its last 64 KiB hold an
 * end-of-central-directory record. NO: rec->zip_note says what is missing. */
void traces_look_zip(const struct errand *e, struct record *rec, struct job_seen *seen);
/* The end of a file of share train, as long as such a record may stand from the end; info is that of this answer. */
enum err_code traces_read_tail(const struct storage *s, const char *zip, int64_t size, struct str *tail, struct file_info *info,
                               struct err *err) MUST_CHECK;
void traces_look_claim(const struct errand *e, struct record *rec, struct job_seen *seen);
void traces_look_status(const struct errand *e, struct record *rec, struct job_seen *seen);
/* The report first, then the manifest: the machine writes them the other way round, so a report without a manifest is proof. Facts of both
 * go into the record. */
void traces_look_result(const struct errand *e, struct record *rec, struct job_seen *seen);
/* What a manifest says of its model, and which one it is, into the record. */
void traces_keep_manifest(struct record *rec, const struct manifest *m, const struct str *text, const struct blob_info *info);
#endif
