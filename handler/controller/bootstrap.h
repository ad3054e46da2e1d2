/* bootstrap.h - what a machine knows when it boots: customData with job.json, the boot files, and one SAS link per file that it may read or
 * write.
 *
 * A pure function of the record, the account and the app's files: a repeated order sends the same bytes. No account key, no password, no
 * Slack URL goes in. */
#ifndef BOOTSTRAP_H
#define BOOTSTRAP_H
#include "controller/controller.h"

#define CUSTOM_DATA_MAX 65535 /* bytes, decoded: Azure's limit */

enum err_code bootstrap_custom_data(const struct controller *c, const struct record *rec, struct str *to, struct err *err) MUST_CHECK;

/* The links by name, for job.json and for the golden list: "name permissions service path". */
struct grant {
    char name[24];
    enum storage_service service;
    const char *permissions;
    const char *container; /* or share, or queue */
    char path[BLOB_NAME_MAX + JOB_ID_MAX];
};
#define GRANTS_MAX 64
size_t bootstrap_grants(const struct record *rec, struct grant grants[GRANTS_MAX]);
#endif
