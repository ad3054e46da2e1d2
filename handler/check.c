#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "azure/rights.h"
#include "base/log.h"
#include "job/money.h"

#define CALL_MS 20000          /* of one question with its retries */
#define ALL_MS (5 * 60 * 1000) /* of all of them */
#define LINE_MAX 1900

/* ---- lines ---- */

static void say(bool good, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void say(bool good, const char *what, const char *format, ...)
{
    char text[LINE_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_line(LOG_INFO, "%s %s: %s", good ? "ok  " : "FAIL", what, text);
}

bool check_settings(const struct str *faults)
{
    const char *line = str_c(faults);

    if (line != NULL && *line == '\0') {
        say(true, "settings", "no fault");
        return true;
    }
    if (line == NULL)
        say(false, "settings", "more faults than can be told");
    for (; line != NULL && *line != '\0'; line += strspn(line, "\n")) {
        int n = (int)strcspn(line, "\n");
        say(false, "setting", "%.*s", n, line);
        line += n;
    }
    log_line(LOG_INFO, "The services were not asked: the settings come first.");
    return false;
}

void check_failed(const char *what, const struct err *err)
{
    say(false, what, "%s", err->msg);
}

/* ---- Azure ---- */

static bool signs_in(const struct settings *s, const struct controller *c)
{
    static const char *const advice[] = {
        [IDENTITY_PRINCIPAL] = "look at AZURE_SP_APP_ID, AZURE_SP_PASSWORD and AZURE_SP_TENANT",
        [IDENTITY_APP] = "look in the portal (the app's Identity) whether it has a managed identity, and at AZURE_CLIENT_ID, which names a "
                         "user-assigned one",
        [IDENTITY_VM] = "this machine has no managed identity of that name; anywhere but on an Azure VM set AZURE_SP_APP_ID, "
                        "AZURE_SP_PASSWORD and AZURE_SP_TENANT",
    };
    char who[SIGN_IN_WHO];
    struct err err = {0};

    sign_in_who(&s->identity, who);
    bool good = identity_try(c->arm.identity, clock_mono_ms(c->clock) + CALL_MS, &err) == OK;
    if (good)
        say(true, "sign-in", "%s", who);
    else
        say(false, "sign-in", "%s: %s", err.msg, advice[s->identity.kind]);
    return good;
}

static bool sees_subscription(struct controller *c)
{
    AUTO_JSON answer = NULL;
    struct err err = {0};
    struct arm *a = &c->arm;

    if (a->subscription[0] == '\0' && arm_only_subscription(a, a->subscription, &err) != OK) {
        say(false, "subscription", "%s", err.msg);
        return false;
    }
    enum err_code code = arm_read(a, "?api-version=" ARM_SUBSCRIPTIONS_VERSION, &answer, &err);
    if (code == ERR_ABSENT || code == ERR_REFUSED)
        say(false, "subscription", "%s: look at AZURE_SUBSCRIPTION_ID, and give the app's identity the role Contributor on it", err.msg);
    else if (code != OK)
        say(false, "subscription", "%s", err.msg);
    if (code != OK)
        return false;
    const char *state = json_get_text(answer, "state");
    bool good = !str_is_nocase(state, "Disabled") && !str_is_nocase(state, "Deleted");
    say(good, "subscription", "%.60s (%.40s)%s%.20s%s", json_get_text(answer, "displayName"), a->subscription, good ? "" : " is ",
        good ? "" : state, good ? "" : ": it cannot be used until it is enabled again (portal: Subscriptions)");
    return good;
}

/* What ordering, watching and deleting a machine does (controller/machine.c, template.json), and the narrowest common role with it. */
static const struct {
    const char *action, *role;
} NEEDED[] = {
    {"Microsoft.Resources/subscriptions/resourceGroups/read", "Contributor"},
    {"Microsoft.Resources/subscriptions/resourceGroups/write", "Contributor"},
    {"Microsoft.Resources/subscriptions/resourceGroups/delete", "Contributor"},
    {"Microsoft.Resources/deployments/read", "Contributor"},
    {"Microsoft.Resources/deployments/write", "Contributor"},
    {"Microsoft.Resources/deployments/cancel/action", "Contributor"},
    {"Microsoft.Compute/virtualMachines/read", "Virtual Machine Contributor"},
    {"Microsoft.Compute/virtualMachines/write", "Virtual Machine Contributor"},
    {"Microsoft.Compute/disks/write", "Virtual Machine Contributor"},
    {"Microsoft.Compute/skus/read", "Reader"},
    {"Microsoft.Compute/locations/usages/read", "Reader"},
    {"Microsoft.Network/networkSecurityGroups/write", "Network Contributor"},
    {"Microsoft.Network/networkSecurityGroups/join/action", "Network Contributor"},
    {"Microsoft.Network/publicIPAddresses/write", "Network Contributor"},
    {"Microsoft.Network/publicIPAddresses/join/action", "Network Contributor"},
    {"Microsoft.Network/virtualNetworks/write", "Network Contributor"},
    {"Microsoft.Network/virtualNetworks/subnets/join/action", "Network Contributor"},
    {"Microsoft.Network/networkInterfaces/write", "Network Contributor"},
    {"Microsoft.Network/networkInterfaces/join/action", "Network Contributor"},
};
#define NEEDED_COUNT (sizeof NEEDED / sizeof *NEEDED)

static bool has_rights(const struct controller *c)
{
    const char *actions[NEEDED_COUNT];
    bool allowed[NEEDED_COUNT];
    struct err err = {0};
    AUTO_STR missing = STR_MAX(LINE_MAX);

    for (size_t i = 0; i < NEEDED_COUNT; i++)
        actions[i] = NEEDED[i].action;
    if (rights_read(&c->arm, actions, NEEDED_COUNT, allowed, &err) != OK) {
        say(false, "rights", "%s", err.msg);
        return false;
    }
    for (size_t i = 0; i < NEEDED_COUNT; i++)
        if (!allowed[i])
            str_addf(&missing, "%s%s (role %s)", missing.len > 0 ? ", " : "", NEEDED[i].action, NEEDED[i].role);
    if (missing.len == 0 && !missing.failed) {
        say(true, "rights", "machines can be made and deleted");
        return true;
    }
    say(false, "rights", "give the app's identity the role Contributor on subscription %s, or the roles named here. Missing: %s",
        c->arm.subscription, str_c(&missing) != NULL ? str_c(&missing) : "nearly all");
    return false;
}

/* Whether a list of Azure's has a region. Both are in the short form: lower case, no blanks. */
static bool has_region(const struct json *list, const char *name)
{
    for (size_t i = 0; i < json_len(list); i++)
        if (str_is_nocase(json_get_text(json_at(list, i), "name"), name))
            return true;
    return false;
}

static bool knows_regions(const struct settings *s, const struct controller *c)
{
    AUTO_JSON answer = NULL;
    AUTO_STR unknown = STR_MAX(512);
    struct err err = {0};
    char region[PLACE_MAX];

    if (arm_read(&c->arm, "/locations?api-version=" ARM_SUBSCRIPTIONS_VERSION, &answer, &err) != OK) {
        say(false, "regions", "%s", err.msg);
        return false;
    }
    for (const char *list = s->regions; places_next(&list, region);)
        if (!has_region(json_get(answer, "value"), region))
            str_addf(&unknown, "%s%s", unknown.len > 0 ? ", " : "", region);
    bool good = unknown.len == 0;
    if (good)
        say(true, "regions", "%s", s->regions);
    else
        say(false, "regions", "this subscription has no region %s: set AZURE_LOCATION or REGIONS to such as japaneast", str_c(&unknown));
    return good;
}

/* One size in every region; adds where it cannot be had. False when that is everywhere, or cannot be told (err says why). */
static bool has_size(const struct settings *s, const struct controller *c, const char *size, struct str *refused, struct err *err)
{
    bool found = false;
    char region[PLACE_MAX];

    for (const char *list = s->regions; places_next(&list, region);) {
        struct arm_size offer = {0};
        enum err_code code = arm_quota_size(c->quota, &c->arm, region, size, ARM_QUOTA_KEPT, &offer, err);
        if (code != OK && code != ERR_ABSENT)
            return false;
        *err = (struct err){0};
        if (code == OK && offer.restricted[0] == '\0')
            found = true;
        else
            str_addf(refused, "%s%s in %s", refused->len > 0 ? ", " : "", size, region);
    }
    return found;
}

static bool has_sizes(const struct settings *s, const struct controller *c)
{
    const char *list = s->vm_sizes[0] != '\0' ? s->vm_sizes : s->vm_size;
    AUTO_STR refused = STR_MAX(1024);
    struct err err = {0};
    bool good = true;
    char size[PLACE_MAX];

    for (const char *at = list; err.code == OK && places_next(&at, size);)
        good = has_size(s, c, size, &refused, &err) && good;
    const char *where = refused.failed ? "more than can be told" : str_c(&refused);
    if (err.code != OK)
        say(false, "sizes", "%s", err.msg);
    else if (!good)
        say(false, "sizes", "not offered to this subscription: %s. Set VM_SIZE or VM_SIZES to others, or ask for them (portal: Quotas)",
            where);
    else
        say(true, "sizes", "%s%s%s", list, *where != '\0' ? "; not offered: " : "", where);
    return good && err.code == OK;
}

static bool check_azure(const struct settings *s, struct controller *c)
{
    bool in = signs_in(s, c);
    bool sees = in && sees_subscription(c);

    if (!sees) {
        static const char *const later[] = {"subscription", "rights", "regions", "sizes"};
        for (size_t i = in ? 1 : 0; i < sizeof later / sizeof *later; i++)
            say(false, later[i], "not asked: %s comes first", in ? "the subscription" : "the sign-in");
        return false;
    }
    bool rights = has_rights(c), regions = knows_regions(s, c), sizes = has_sizes(s, c);
    return rights && regions && sizes;
}

/* ---- storage ---- */

static const char *storage_advice(const struct err *err)
{
    if (str_is(err->remote, "AuthenticationFailed"))
        return ": the account key is not that of this account; copy the connection string anew (portal: the account's Access keys) into "
               "AzureWebJobsStorage";
    if (str_is(err->remote, "KeyBasedAuthenticationNotPermitted"))
        return ": switch `Allow storage account key access` on (portal: the account's Configuration)";
    if (str_is(err->remote, "AuthorizationFailure"))
        return ": the account's network rules keep this machine out (portal: the account's Networking), or the account key is not that of "
               "this account";
    if (err->code == ERR_UNREACHABLE)
        return ": look at the account's name and endpoints in AzureWebJobsStorage, and at its network rules";
    return "";
}

struct place {
    const char *what;      /* blobs */
    const char *kind;      /* container */
    const char *not_found; /* the service's word for one that is not there */
    enum err_code (*find)(const struct storage *s, const char *name, struct err *err);
    const char *names[3];
    const char *needed; /* the one that people use themselves: it is no good that it will be made later */
};
static const struct place PLACES[] = {
    {"blobs", "container", "ContainerNotFound", blob_find_container, {CONTAINER_JOBS, CONTAINER_FILES, CONTAINER_MODEL}, NULL},
    {"queues", "queue", "QueueNotFound", queue_find, {QUEUE_MESSAGES, QUEUE_BELL}, NULL},
    {"files", "share", "ShareNotFound", files_find_share, {SHARE_TRAIN, SHARE_LOGS}, SHARE_TRAIN},
};

static bool check_place(const struct storage *s, const struct place *p)
{
    AUTO_STR there = STR_MAX(256), later = STR_MAX(256);
    struct err err = {0};
    bool good = true;

    for (size_t i = 0; i < sizeof p->names / sizeof *p->names && p->names[i] != NULL; i++) {
        enum err_code code = p->find(s, p->names[i], &err);
        if (code == OK) {
            str_addf(&there, "%s%s", there.len > 0 ? ", " : "", p->names[i]);
        } else if (code == ERR_ABSENT && str_is(err.remote, p->not_found)) {
            str_addf(&later, "%s%s", later.len > 0 ? ", " : "", p->names[i]);
            good = good && !str_is(p->names[i], p->needed);
        } else {
            say(false, p->what, "%s%s", err.msg, storage_advice(&err));
            return false;
        }
    }
    if (!good)
        say(false, p->what, "%s `%s` is not there, and people put their zips into it: make it (portal: the account's File shares)", p->kind,
            p->needed);
    else
        say(true, p->what, "the account answers; there: %s; made on first use: %s", there.len > 0 ? str_c(&there) : "none",
            later.len > 0 ? str_c(&later) : "none");
    return good;
}

/* ---- Slack ---- */

/* Asks the host alone: the webhook's own address is a password, and asking it could be seen by people. */
static bool check_slack(const struct controller *c)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    struct err err = {0};
    const char *url = secret_reveal(&c->slack_url);
    const char *host = strstr(url, "://");

    if (host == NULL) {
        say(true, "Slack", "SLACK_URL is not set, nobody is told by Slack");
        return true;
    }
    host += strlen("://");
    int n = (int)strcspn(host, "/?#");
    http_request_init(&req, "GET", clock_mono_ms(c->clock) + CALL_MS);
    str_add_n(&req.url, url, (size_t)(host + n - url));
    str_add(&req.url, "/");
    req.secret_path = true;
    req.max_attempts = 2;
    enum err_code code = http_send(c->http, &req, &res, &err);
    bool good = code == OK || res.status != 0; /* any answer will do */
    if (good)
        say(true, "Slack", "%.*s answers; whether the webhook is right shows with the first message", n, host);
    else
        say(false, "Slack", "%s: look at SLACK_URL, and whether this machine may reach the internet", err.msg);
    return good;
}

static bool check_prices(const struct settings *s, const struct controller *c)
{
    AUTO_STR price = STR_MAX(64);
    struct err err = {0};
    int64_t hourly = 0;

    if (prices_hourly(c->prices, s->location, s->vm_size, false, &hourly, &err) != OK) {
        say(false, "prices", "%s: what a job costs cannot be told or limited; look at AZURE_PRICES_ENDPOINT", err.msg);
        return false;
    }
    money_add(&price, hourly);
    say(true, "prices", "%s in %s is %s an hour", s->vm_size, s->location, str_c(&price));
    return true;
}

bool check_services(const struct settings *s, struct controller *c)
{
    http_scope(clock_mono_ms(c->clock) + ALL_MS);
    c->arm.call_ms = c->storage.call_ms = CALL_MS;
    bool good = check_azure(s, c);
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        good = check_place(&c->storage, &PLACES[i]) && good;
    good = check_slack(c) && good;
    good = check_prices(s, c) && good;
    http_scope(0);
    log_line(LOG_INFO, "%s", good ? "All is well." : "Not all is well: see the lines with FAIL.");
    return good;
}
