#include "job/remedy.h"

#include <stddef.h>

#include "base/str.h"

struct row {
    const char *code;
    enum job_remedy remedy;
    const char *advice;
};
static const char CAPACITY[] = "Azure has no free machine of this size there now: send the job again later, or with another vm_size.";
static const char QUOTA[] =
    "The subscription's quota for this size is used up: ask for more in the portal (Quotas), or send the job with another vm_size.";
static const char ROLE[] = "The app's service principal lacks a role: give it Contributor on the subscription.";

/* 409 and 429 that mean `later`, and final refusals that need a person. */
static const struct row ROWS[] = {
    {"ResourceGroupBeingDeleted", REMEDY_WAIT, ""},
    {"AnotherOperationInProgress", REMEDY_WAIT, ""},
    {"RetryableErrorDueToAnotherOperation", REMEDY_WAIT, ""},
    {"DeploymentActive", REMEDY_WAIT, ""},
    {"Conflict", REMEDY_WAIT, ""},
    {"SkuNotAvailable", REMEDY_NO, CAPACITY},
    {"AllocationFailed", REMEDY_NO, CAPACITY},
    {"ZonalAllocationFailed", REMEDY_NO, CAPACITY},
    {"OverconstrainedAllocationRequest", REMEDY_NO, CAPACITY},
    {"OverconstrainedZonalAllocationRequest", REMEDY_NO, CAPACITY},
    {"QuotaExceeded", REMEDY_NO, QUOTA},
    {"OperationNotAllowed", REMEDY_NO, QUOTA},
    {"PublicIPCountLimitReached", REMEDY_NO, "Too many public IP addresses are in use: delete unused ones, or ask for more quota."},
    {"AuthorizationFailed", REMEDY_NO, ROLE},
    {"LinkedAuthorizationFailed", REMEDY_NO, ROLE},
    {"sign_in", REMEDY_NO, "The app cannot sign in to Azure: check AZURE_SP_APP_ID, AZURE_SP_PASSWORD and AZURE_SP_TENANT."},
    {"MissingSubscriptionRegistration", REMEDY_NO, "Register the resource provider that the message names in the subscription."},
    {"RequestDisallowedByPolicy", REMEDY_NO, "A policy of the subscription forbids it."},
    {"ReadOnlyDisabledSubscription", REMEDY_NO, "The subscription is disabled (unpaid or expired)."},
    {"InvalidResourceGroupLocation", REMEDY_NO, "A group of that name exists in another region."},
};

static const struct row *find(const char *code)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_is(ROWS[i].code, code))
            return &ROWS[i];
    return NULL;
}

enum job_remedy remedy_of(const struct err *err)
{
    const struct row *row = find(err->remote);

    if (err->code == ERR_UNREACHABLE || err->code == ERR_MEMORY || err->http_status >= 500 || err->http_status == 429 ||
        err->http_status == 408)
        return REMEDY_WAIT;
    return row != NULL ? row->remedy : REMEDY_NO;
}

const char *remedy_advice(const char *code)
{
    const struct row *row = find(code);

    return row != NULL ? row->advice : "";
}
