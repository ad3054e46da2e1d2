/* arm.h - the ARM calls of this program: groups, one deployment, one VM, and what an error of ARM really says.
 *
 * Nothing is followed by poll URL: a GET on names tells. Thread rule: shared, read-only once it is set up. */
#ifndef ARM_H
#define ARM_H
#include "azure/identity.h"
#include "base/json.h"

#define ARM_VERSION "2024-03-01"

struct arm {
    const struct http *http;
    struct identity *identity;
    char endpoint[256]; /* https://management.azure.com */
    char subscription[64];
    int64_t call_ms; /* limit of one call with its retries; default 30 s */
};
/* The innermost error of an answer or of a failed deployment: error.details[..], innererror, JSON inside message strings, flat
 * {code,message}, HTML, nothing; depth at most 8; generic wrappers are passed over. */
struct arm_error {
    char code[96];
    char message[400]; /* one line */
};
void arm_error_read(const char *body, size_t len, struct arm_error *out);
void arm_error_from(const struct json *error, struct arm_error *out);

/* All calls: 2xx OK; 404 ERR_ABSENT only when the code says that the thing asked for is not there (ResourceGroupNotFound,
 * DeploymentNotFound, ResourceNotFound, NotFound); other 404 (SubscriptionNotFound, PlatformImageNotFound) are ERR_REFUSED; 409
 * ERR_CONFLICT; 401, 403, 400 ERR_REFUSED; err->remote is the innermost code, err->msg its text. */
#define ARM_TAGS_MAX 8
struct arm_group {
    char location[64], state[32]; /* provisioningState: Succeeded, Deleting */
    struct {
        char name[64], value[128];
    } tag[ARM_TAGS_MAX];
    size_t tags;
};
const char *arm_group_tag(const struct arm_group *g, const char *name); /* "" when absent */
enum err_code arm_group_get(const struct arm *a, const char *group, struct arm_group *out, struct err *err) MUST_CHECK;
/* *created: there was none, so there is nothing in it yet. */
enum err_code arm_group_put(const struct arm *a, const char *group, const struct arm_group *want, bool *created,
                            struct err *err) MUST_CHECK;
enum err_code arm_group_delete(const struct arm *a, const char *group, struct err *err) MUST_CHECK; /* accepted (or gone) is OK */

/* Every group of the subscription with this tag, all pages; ARM's list may be minutes late. Return false to stop. */
typedef bool (*arm_visit)(void *ctx, const char *group);
enum err_code arm_groups_list(const struct arm *a, const char *tag, const char *value, arm_visit visit, void *ctx,
                              struct err *err) MUST_CHECK;

enum arm_state { ARM_RUNNING, ARM_SUCCEEDED, ARM_FAILED, ARM_CANCELED };
struct arm_deployment {
    enum arm_state state;
    struct arm_error error; /* of a failed one */
};
enum err_code arm_deployment_get(const struct arm *a, const char *group, const char *name, struct arm_deployment *out,
                                 struct err *err) MUST_CHECK;
/* body: {"properties":{...}} as text; it holds securestring values: it is sent, never logged. DeploymentActive (somebody's same PUT runs)
 * is OK. */
enum err_code arm_deployment_put(const struct arm *a, const char *group, const char *name, const char *body, size_t len,
                                 struct err *err) MUST_CHECK;
enum err_code arm_deployment_cancel(const struct arm *a, const char *group, const char *name,
                                    struct err *err) MUST_CHECK; /* nothing to cancel is OK */

struct arm_vm {
    char vm_id[48]; /* properties.vmId: what IMDS tells the machine itself */
    char power[32]; /* "running", "stopped", "deallocated" ... "" when not told */
    enum arm_state state;
};
/* Where the machine's serial console can be read for a few minutes: a link with a signature. */
enum err_code arm_vm_console(const struct arm *a, const char *group, const char *name, struct secret *link, struct err *err) MUST_CHECK;
enum err_code arm_vm_get(const struct arm *a, const char *group, const char *name, struct arm_vm *out, struct err *err) MUST_CHECK;
/* GET of the subscription itself or of something below it: tail begins with `?` or `/`, is escaped, and names its api-version. ERR_ABSENT:
 * no such subscription, or none that the identity may see. */
enum err_code arm_read(const struct arm *a, const char *tail, struct json **answer, struct err *err) MUST_CHECK;
/* What arm_read takes for an address that Azure gave (nextLink); NULL when it is not below this very subscription at this very host. */
const char *arm_tail(const struct arm *a, const char *url);
#define ARM_SUBSCRIPTIONS_VERSION "2022-12-01"
/* The only subscription that the identity sees; else ERR_INPUT with a sentence that names them and the setting. */
enum err_code arm_only_subscription(const struct arm *a, char out[64], struct err *err) MUST_CHECK;
#endif
