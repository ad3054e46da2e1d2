/* copies.h - one file of a model from where it was made to where it is published, by the service itself, at the ETag that was verified. */
#ifndef COPIES_H
#define COPIES_H
#include "controller/controller.h"

/* Where a job's files come from: out/<job>/<attempt>/ of their maker, or model/<line>/<version>/. The container is returned. */
const char *copies_source(const struct record *rec, const char *file, char out[BLOB_NAME_MAX]);

enum copied { COPY_DONE, COPY_LATER, COPY_CHANGED };
/* To model/<line>/<version>/<file>, once however often it is tried. COPY_CHANGED: the source is not what was verified. */
enum copied copies_file(const struct errand *e, const struct record *rec, const char *file, const char *etag, int64_t size);
#endif
