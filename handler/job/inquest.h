/* inquest.h - the file that is kept about an attempt that failed: logs/<job_id>/attempt-<n>.txt. Pure. */
#ifndef INQUEST_H
#define INQUEST_H
#include "job/record.h"

#define INQUEST_LINES 20
#define INQUEST_LINES_MAX 6200

struct inquest {
    int64_t now_s;
    const char *group;       /* where its machine was */
    const char *status;      /* the last status, as the machine wrote it; "": none */
    size_t status_len;       /* bytes of it */
    const char *log;         /* last lines of its own log; "": none */
    const char *serial;      /* last lines of its console; "": none */
    const char *serial_file; /* where the whole console is; "": nowhere */
    const char *serial_note; /* why there is none */
};
/* One sentence about a status.json: stage, epoch, when. */
void inquest_status(const char *text, size_t len, struct str *to);
void inquest_text(const struct record *rec, const struct inquest *i, struct str *to);
#endif
