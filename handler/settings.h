/* settings.h - the environment, read once, validated whole; all faults are told together.
 *
 * Every setting is a row of one table (settings_row), which the README and local.settings.json.example are compared with. */
#ifndef SETTINGS_H
#define SETTINGS_H
#include <stddef.h>
#include <stdint.h>

#include "azure/identity.h"
#include "azure/storage.h"
#include "job/request.h"

#define IMAGE_ID_MAX 512

struct settings {
    struct storage storage; /* without its http */
    struct identity_settings identity;
    char arm_endpoint[256], prices_endpoint[256], subscription[64], vm_storage_host[64], image_id[IMAGE_ID_MAX], location[64],
        group_prefix[40], trainer[24];
    struct secret slack_url;
    char vm_size[PLACE_MAX], vm_sizes[1024], regions[PLACES_MAX * PLACE_MAX]; /* the first of each list, too */
    enum job_spot spot;
    char classes[4096], root[1024];
    int32_t epochs, epochs_max, max_jobs, max_minutes, max_job_minutes, upload_wait_s;
    int64_t max_job_micro_usd; /* 0: no limit */
    bool legacy_replace;       /* LEGACY_ROOT is replace */
};
/* lookup is getenv, or a test's. On ERR_INPUT `faults` holds one line per fault; no line holds a secret. `notes` gets lines about replaced
 * names. */
enum err_code settings_read(const char *(*lookup)(const char *name), struct settings *s, struct str *faults, struct str *notes) MUST_CHECK;
/* The port that the Functions host names; a fault is one line more. */
enum err_code settings_read_port(const char *(*lookup)(const char *name), uint16_t *port, struct str *faults) MUST_CHECK;
void settings_done(struct settings *s);

struct settings_row {
    const char *name, *fallback, *meaning; /* fallback "": none; meaning for people */
};
const struct settings_row *settings_rows(size_t *count);
#endif
