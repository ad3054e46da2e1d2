/* assets.h - what a machine is sent: the scripts archive and the boot files, as they lie in the app root. Loaded once; read-only after. */
#ifndef ASSETS_H
#define ASSETS_H
#include "base/str.h"

struct assets {
    struct str scripts; /* vm-scripts.tar.gz */
    char scripts_sha256[65];
    struct str start, claim, fetch, report, unit; /* vm-scripts/boot/ */
};
enum err_code assets_load(const char *root, struct assets *a, struct err *err) MUST_CHECK;
void assets_done(struct assets *a);
#endif
