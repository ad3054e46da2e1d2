#include "job/remedy.h"

#include <stddef.h>
#include <string.h>

#include "base/str.h"

struct row {
    const char *code;
    const char *text; /* when set: what the message must hold too (case ignored); rows with a text stand before those without */
    enum job_remedy remedy;
    const char *advice;
};
static const char CAPACITY[] = "Azure has no free machine of this size there now.";
static const char QUOTA[] = "The subscription's quota for this size is used up: ask for more in the portal (Quotas).";
static const char SPOT_QUOTA[] = "The subscription's quota for Spot machines is used up: ask for more in the portal (Quotas).";
static const char NO_SPOT[] = "This subscription, or this size, has no Spot machines.";
static const char ROLE[] = "The app's identity lacks a role: give it Contributor on the subscription.";

/* What means `later`, `elsewhere` or `otherwise`, and final refusals that need a person. */
static const struct row ROWS[] = {
    {"ResourceGroupBeingDeleted", NULL, REMEDY_WAIT, ""},
    {"AnotherOperationInProgress", NULL, REMEDY_WAIT, ""},
    {"RetryableErrorDueToAnotherOperation", NULL, REMEDY_WAIT, ""},
    {"DeploymentActive", NULL, REMEDY_WAIT, ""},
    {"Conflict", NULL, REMEDY_WAIT, ""},
    {"SkuNotAvailable", NULL, REMEDY_SIZE, CAPACITY},
    {"AllocationFailed", NULL, REMEDY_SIZE, CAPACITY},
    {"ZonalAllocationFailed", NULL, REMEDY_SIZE, CAPACITY},
    {"OverconstrainedAllocationRequest", NULL, REMEDY_SIZE, CAPACITY},
    {"OverconstrainedZonalAllocationRequest", NULL, REMEDY_SIZE, CAPACITY},
    {"InvalidParameter", "is not available in the current region", REMEDY_SIZE, CAPACITY},
    {"QuotaExceeded", "lowPriorityCores", REMEDY_ON_DEMAND, SPOT_QUOTA},
    {"QuotaExceeded", "Total Regional", REMEDY_REGION, QUOTA},
    {"QuotaExceeded", NULL, REMEDY_SIZE, QUOTA},
    {"OperationNotAllowed", "lowPriorityCores", REMEDY_ON_DEMAND, SPOT_QUOTA},
    {"OperationNotAllowed", "Total Regional Cores", REMEDY_REGION, QUOTA},
    {"OperationNotAllowed", "quota", REMEDY_SIZE, QUOTA},
    {"OperationNotAllowed", NULL, REMEDY_WAIT, ""},
    {"SpotPriceGreaterThanProvidedMaxPrice", NULL, REMEDY_ON_DEMAND, ""},
    {"AzureSpotIsNotSupportedForThisVMSize", NULL, REMEDY_NO_SPOT, NO_SPOT},
    {"AzureSpotFeatureNotEnabledForSubscription", NULL, REMEDY_NO_SPOT, NO_SPOT},
    {"PublicIPCountLimitReached", NULL, REMEDY_REGION,
     "Too many public IP addresses are in use: delete unused ones, or ask for more quota."},
    {"OSProvisioningTimedOut", NULL, REMEDY_BOOT, ""},
    {"AuthorizationFailed", NULL, REMEDY_NO, ROLE},
    {"LinkedAuthorizationFailed", NULL, REMEDY_NO, ROLE},
    {"sign_in", NULL, REMEDY_WAIT,
     "The app cannot sign in to Azure: check AZURE_SP_APP_ID, AZURE_SP_PASSWORD and AZURE_SP_TENANT, or the app's managed identity."},
    {"MissingSubscriptionRegistration", NULL, REMEDY_NO, "Register the resource provider that the message names in the subscription."},
    {"RequestDisallowedByPolicy", NULL, REMEDY_NO, "A policy of the subscription forbids it."},
    {"ReadOnlyDisabledSubscription", NULL, REMEDY_NO, "The subscription is disabled (unpaid or expired)."},
    {"InvalidResourceGroupLocation", NULL, REMEDY_NO, "A group of that name exists in another region."},
};

static const struct row *find(const struct err *err)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_is(ROWS[i].code, err->remote) && (ROWS[i].text == NULL || strcasestr(err->msg, ROWS[i].text) != NULL))
            return &ROWS[i];
    return NULL;
}

enum job_remedy remedy_of(const struct err *err)
{
    const struct row *row = find(err);

    if (err->code == ERR_UNREACHABLE || err->code == ERR_MEMORY || err->http_status >= 500 || err->http_status == 429 ||
        err->http_status == 408)
        return REMEDY_WAIT;
    return row != NULL ? row->remedy : REMEDY_NO;
}

const char *remedy_advice(const struct err *err)
{
    const struct row *row = find(err);

    return row != NULL ? row->advice : "";
}
