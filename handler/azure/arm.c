#include "azure/arm_call.h"

#include <string.h>
#include <strings.h>

#define VERSION_QUERY "?api-version=" ARM_VERSION
#define JSON_DEPTH 100 /* templates come back in records of deployments */
#define ANSWER_MAX (8u * 1024 * 1024)
#define CALL_MS 30000
#define NO_GROUP "ResourceGroupNotFound"
#define NO_DEPLOYMENT "DeploymentNotFound"
#define NO_MACHINE "ResourceNotFound"
#define DEPLOYMENTS "/providers/Microsoft.Resources/deployments/"

/* ---- one call ---- */

void arm_start(const struct arm *a, const char *method, struct http_request *req)
{
    size_t len = strlen(a->endpoint);
    while (len && a->endpoint[len - 1] == '/')
        len--;
    http_request_init(req, method, clock_mono_ms(a->http->clock) + (a->call_ms > 0 ? a->call_ms : CALL_MS));
    str_add_n(&req->url, a->endpoint, len);
    http_set(&req->headers, "Accept", "application/json");
    req->answer_max = ANSWER_MAX;
    req->auth = identity_authorizer(a->identity);
}

static void add_subscription(const struct arm *a, struct str *url)
{
    str_add(url, "/subscriptions/");
    str_add_percent(url, a->subscription);
}

/* Starts a request on a group, or with kind and name on something in it; tail comes behind. */
static void start_in_group(const struct arm *a, const char *method, const char *group, const char *kind, const char *name, const char *tail,
                           struct http_request *req)
{
    arm_start(a, method, req);
    add_subscription(a, &req->url);
    str_add(&req->url, "/resourceGroups/");
    str_add_percent(&req->url, group);
    if (kind) {
        str_add(&req->url, kind);
        str_add_percent(&req->url, name);
    }
    str_add(&req->url, tail);
}

/* 404 has many meanings: only the code of the very thing that was asked for proves that it is not there; that its group is not does so too.
 */
static bool says_absent(const char *code, const char *thing)
{
    return str_is_nocase(code, NO_GROUP) || str_is_nocase(code, thing);
}

static enum err_code explain(const struct http_request *req, const struct http_response *res, const char *thing, enum err_code code,
                             struct err *err)
{
    struct arm_error found;
    arm_error_read(res->body.p ? res->body.p : "", res->body.len, &found);
    if (code == OK) {
        AUTO_STR what = STR_MAX(sizeof err->msg);
        code = res->status == 409 ? ERR_CONFLICT : res->status == 404 && says_absent(found.code, thing) ? ERR_ABSENT : ERR_REFUSED;
        http_describe(req, &what);
        if (found.message[0])
            (void)err_set(err, code, "%s", found.message);
        else
            (void)err_set(err, code, "%.400s: HTTP %d without a reason", str_c(&what) ? str_c(&what) : req->method, res->status);
    }
    if (err && res->status) {
        err->http_status = res->status;
        str_copy(err->remote, sizeof err->remote, found.code);
    }
    return code;
}

/* Sends it; 2xx is OK. thing: the code of a 404 that means ERR_ABSENT. */
static enum err_code call_raw(const struct arm *a, struct http_request *req, const char *thing, struct http_response *res, struct err *err)
{
    enum err_code code = http_send(a->http, req, res, err);
    if (code != OK && (code != ERR_UNREACHABLE || res->status == 0))
        return code;
    if (code != OK || res->status < 200 || res->status > 299)
        return explain(req, res, thing, code, err);
    return OK;
}

/* The body comes back parsed if answer is not NULL. */
enum err_code arm_call(const struct arm *a, struct http_request *req, const char *thing, struct json **answer, struct err *err)
{
    AUTO_RESPONSE res = {0};
    enum err_code code = call_raw(a, req, thing, &res, err);
    if (code != OK || !answer)
        return code;
    code = json_parse(str_c(&res.body), res.body.len, JSON_DEPTH, answer, err);
    return code == ERR_INPUT ? err_set(err, ERR_UNREACHABLE, "Azure's answer is not JSON") : code;
}

static enum err_code not_understood(const char *what, struct err *err)
{
    return err_set(err, ERR_UNREACHABLE, "Azure's answer is not understood: no %s", what);
}

static enum arm_state state_of(const char *text)
{
    if (str_is_nocase(text, "Succeeded"))
        return ARM_SUCCEEDED;
    if (str_is_nocase(text, "Failed"))
        return ARM_FAILED;
    return str_is_nocase(text, "Canceled") ? ARM_CANCELED : ARM_RUNNING;
}

/* ---- groups ---- */

const char *arm_group_tag(const struct arm_group *g, const char *name)
{
    for (size_t i = 0; i < g->tags; i++)
        if (str_is_nocase(g->tag[i].name, name)) /* as Azure compares them */
            return g->tag[i].value;
    return "";
}

enum err_code arm_group_get(const struct arm *a, const char *group, struct arm_group *out, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_JSON answer = NULL;
    start_in_group(a, "GET", group, NULL, NULL, VERSION_QUERY, &req);
    enum err_code code = arm_call(a, &req, NO_GROUP, &answer, err);
    if (code)
        return code;
    const struct json *tags = json_get(answer, "tags");
    const char *state = json_text(json_path(answer, "properties.provisioningState"));
    if (json_type(answer) != JSON_OBJECT || !json_get_text(answer, "location")[0])
        return not_understood("location", err);
    *out = (struct arm_group){.tags = 0};
    str_copy(out->location, sizeof out->location, json_get_text(answer, "location"));
    str_copy(out->state, sizeof out->state, state ? state : "Succeeded");
    for (size_t i = 0; i < json_len(tags) && out->tags < ARM_TAGS_MAX; i++) {
        const struct json *tag = json_at(tags, i);
        str_copy(out->tag[out->tags].name, sizeof out->tag[0].name, json_name(tag));
        str_copy(out->tag[out->tags++].value, sizeof out->tag[0].value, json_text(tag));
    }
    return OK;
}

enum err_code arm_group_put(const struct arm *a, const char *group, const struct arm_group *want, bool *created, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_STR body = STR_MAX(8192);
    json_open(&body, NULL, '{');
    json_put_text(&body, "location", want->location);
    json_open(&body, "tags", '{');
    for (size_t i = 0; i < want->tags && i < ARM_TAGS_MAX; i++)
        json_put_text(&body, want->tag[i].name, want->tag[i].value);
    json_close(&body, '}');
    json_close(&body, '}');
    enum err_code code = str_check(&body, "the description of a group", err);
    if (code)
        return code;
    start_in_group(a, "PUT", group, NULL, NULL, VERSION_QUERY, &req);
    http_set(&req.headers, "Content-Type", "application/json");
    req.body = body.p;
    req.body_len = body.len;
    code = call_raw(a, &req, NO_GROUP, &res, err);
    *created = code == OK && res.status == 201;
    return code;
}

enum err_code arm_group_delete(const struct arm *a, const char *group, struct err *err)
{
    AUTO_REQUEST req = {0};
    struct err local;
    if (!err)
        err = &local;
    /* The machine gets no graceful stop: what it had to say is in storage, and its minutes cost. */
    start_in_group(a, "DELETE", group, NULL, NULL, VERSION_QUERY "&forceDeletionTypes=Microsoft.Compute%2FvirtualMachines", &req);
    enum err_code code = arm_call(a, &req, NO_GROUP, NULL, err);
    bool under_way = code == ERR_CONFLICT && str_is_nocase(err->remote, "ResourceGroupBeingDeleted");
    return code == ERR_ABSENT || under_way ? OK : code;
}

/* ---- deployments ---- */

enum err_code arm_deployment_get(const struct arm *a, const char *group, const char *name, struct arm_deployment *out, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_JSON answer = NULL;
    start_in_group(a, "GET", group, DEPLOYMENTS, name, VERSION_QUERY, &req);
    enum err_code code = arm_call(a, &req, NO_DEPLOYMENT, &answer, err);
    if (code)
        return code;
    const char *state = json_text(json_path(answer, "properties.provisioningState"));
    if (!state)
        return not_understood("properties.provisioningState", err);
    *out = (struct arm_deployment){.state = state_of(state)};
    if (out->state == ARM_FAILED)
        arm_error_from(json_path(answer, "properties.error"), &out->error);
    return OK;
}

enum err_code arm_deployment_put(const struct arm *a, const char *group, const char *name, const char *body, size_t len, struct err *err)
{
    AUTO_REQUEST req = {0};
    struct err local;
    if (!err)
        err = &local;
    start_in_group(a, "PUT", group, DEPLOYMENTS, name, VERSION_QUERY, &req);
    http_set(&req.headers, "Content-Type", "application/json");
    req.body = body;
    req.body_len = len;
    enum err_code code = arm_call(a, &req, NO_DEPLOYMENT, NULL, err);
    /* One fixed name a job: what is active is this very deployment, from a repeated message or a lost answer. */
    return code == ERR_CONFLICT && str_starts(err->remote, "DeploymentActive") ? OK : code;
}

enum err_code arm_deployment_cancel(const struct arm *a, const char *group, const char *name, struct err *err)
{
    AUTO_REQUEST req = {0};
    start_in_group(a, "POST", group, DEPLOYMENTS, name, "/cancel" VERSION_QUERY, &req);
    req.repeatable = true; /* a second cancellation changes nothing */
    enum err_code code = arm_call(a, &req, NO_DEPLOYMENT, NULL, err);
    return code == ERR_ABSENT || code == ERR_CONFLICT ? OK : code; /* gone, or not running any more */
}

/* ---- the machine ---- */

enum err_code arm_vm_get(const struct arm *a, const char *group, const char *name, struct arm_vm *out, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_JSON answer = NULL;
    start_in_group(a, "GET", group, "/providers/Microsoft.Compute/virtualMachines/", name, VERSION_QUERY "&$expand=instanceView", &req);
    enum err_code code = arm_call(a, &req, NO_MACHINE, &answer, err);
    if (code)
        return code;
    const struct json *properties = json_get(answer, "properties");
    const struct json *statuses = json_path(properties, "instanceView.statuses");
    if (json_type(properties) != JSON_OBJECT)
        return not_understood("properties", err);
    const char *state = json_get_text(properties, "provisioningState");
    *out = (struct arm_vm){.state = state[0] ? state_of(state) : ARM_SUCCEEDED};
    str_copy(out->vm_id, sizeof out->vm_id, json_get_text(properties, "vmId"));
    for (size_t i = 0; i < json_len(statuses); i++) {
        const char *status = json_get_text(json_at(statuses, i), "code");
        if (str_starts(status, "PowerState/"))
            str_copy(out->power, sizeof out->power, status + strlen("PowerState/"));
    }
    return OK;
}

enum err_code arm_vm_console(const struct arm *a, const char *group, const char *name, struct secret *link, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_JSON answer = NULL;
    start_in_group(a, "POST", group, "/providers/Microsoft.Compute/virtualMachines/", name,
                   "/retrieveBootDiagnosticsData" VERSION_QUERY "&sasUriExpirationTimeInMinutes=5", &req);
    req.repeatable = true; /* it changes nothing */
    enum err_code code = arm_call(a, &req, NO_MACHINE, &answer, err);
    if (code)
        return code;
    const char *url = json_get_text(answer, "serialConsoleLogBlobUri");
    if (!url[0])
        return not_understood("serialConsoleLogBlobUri", err);
    return secret_set(link, url, strlen(url), err);
}

/* ---- subscriptions ---- */

enum err_code arm_read(const struct arm *a, const char *tail, struct json **answer, struct err *err)
{
    AUTO_REQUEST req = {0};
    arm_start(a, "GET", &req);
    add_subscription(a, &req.url);
    str_add(&req.url, tail);
    return arm_call(a, &req, "SubscriptionNotFound", answer, err);
}

const char *arm_tail(const struct arm *a, const char *url)
{
    AUTO_REQUEST req = {0};
    arm_start(a, "GET", &req);
    add_subscription(a, &req.url);
    const char *own = str_c(&req.url);
    if (!own || strncasecmp(url, own, req.url.len) != 0 || !strchr("/?", url[req.url.len]))
        return NULL;
    return url + req.url.len;
}

enum err_code arm_only_subscription(const struct arm *a, char out[64], struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_JSON answer = NULL;
    AUTO_STR names = STR_MAX(360);
    size_t count;
    arm_start(a, "GET", &req);
    str_add(&req.url, "/subscriptions?api-version=" ARM_SUBSCRIPTIONS_VERSION);
    enum err_code code = arm_call(a, &req, NO_GROUP, &answer, err);
    if (code)
        return code;
    const struct json *list = json_get(answer, "value");
    if (json_type(list) != JSON_ARRAY)
        return not_understood("value", err);
    count = json_len(list);
    if (count == 0)
        return err_set(err, ERR_INPUT, "the app's identity sees no subscription: give it a role, or set AZURE_SUBSCRIPTION_ID");
    const char *only = json_get_text(json_at(list, 0), "subscriptionId");
    if (count == 1 && !json_get_text(answer, "nextLink")[0] && only[0]) {
        str_copy(out, 64, only);
        return OK;
    }
    for (size_t i = 0; i < count && names.len + 120 < names.max; i++) { /* the first ones are enough */
        const struct json *one = json_at(list, i);
        str_addf(&names, "%s%.40s (%.60s)", i ? ", " : "", json_get_text(one, "subscriptionId"), json_get_text(one, "displayName"));
    }
    return err_set(err, ERR_INPUT, "the app's identity sees %zu subscriptions: %s. Set AZURE_SUBSCRIPTION_ID to the one to use", count,
                   str_c(&names));
}
