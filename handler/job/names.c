#include "job/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/str.h"

#define OWNER_HEX 12
#define SLUG_HEX 6
#define SLUG_TEXT 40

/* The first n hex digits of sha256("<a>/<b>"). Without memory all zeros: a group with other tags is never touched, so that is safe. */
static void hash_pair(const char *a, const char *b, size_t n, char *out)
{
    AUTO_STR both = STR_MAX(2048);
    str_add(&both, a);
    str_add(&both, "/");
    str_add(&both, b);
    char hex[SHA256_HEX];
    if (both.failed || !sha256_of(both.p, both.len, hex))
        memset(hex, '0', sizeof hex);
    memcpy(out, hex, n);
    out[n] = '\0';
}

void names_owner(const char *account, char out[OWNER_MAX])
{
    hash_pair(account, CONTAINER_JOBS, OWNER_HEX, out);
}

void names_slug(const char *owner, const char *job_id, char out[SLUG_MAX])
{
    char key[256];
    str_copy(key, sizeof key, job_id);
    str_lower(key);
    size_t n = 0;
    for (const char *p = key; *p && n < SLUG_TEXT; p++)
        out[n++] = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ? *p : '-';
    out[n++] = '-';
    hash_pair(owner, key, SLUG_HEX, out + n);
}

void names_group(const char *prefix, const char *slug, int32_t attempt, char out[GROUP_MAX])
{
    snprintf(out, GROUP_MAX, "%.39s-%.*s-%" PRId32, prefix, SLUG_MAX, slug, attempt);
}

bool names_is_job_id(const char *job_id)
{
    size_t n = strlen(job_id);

    return n >= 1 && n <= 64 && strspn(job_id, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n && strchr("._-", job_id[0]) == NULL &&
           job_id[n - 1] != '.' && strstr(job_id, "..") == NULL;
}
