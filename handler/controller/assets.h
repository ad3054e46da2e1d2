/* assets.h - what a machine is sent: the scripts archive and the boot files, as they lie in the app root. Read-only after assets_load.
 *
 * The archive is large and uploaded once per version, so it is read only then; its sha256 lies beside it (vm-scripts.sha256). */
#ifndef ASSETS_H
#define ASSETS_H
#include "base/str.h"

struct assets {
    char root[1024];                              /* the app root */
    char scripts_sha256[65];                      /* of vm-scripts.tar.gz */
    struct str start, claim, fetch, report, unit; /* vm-scripts/boot/ */
};
enum err_code assets_load(const char *root, struct assets *a, struct err *err) MUST_CHECK;
/* The archive itself, checked against its sha256. to is set up here; the caller ends it. */
enum err_code assets_scripts(const struct assets *a, struct str *to, struct err *err) MUST_CHECK;
void assets_done(struct assets *a);
#endif
