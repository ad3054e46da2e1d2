#include "settings_reader.h"

static void url(const struct reader *r, const char *name, char to[256])
{
    const char *value = get(r, name);

    if (!http_url_safe(value) || strlen(value) >= 256 || strpbrk(value, "?#@ ") != NULL) {
        fault(r, name, "an https address is needed");
        return;
    }
    str_copy(to, 256, value);
    for (size_t n = strlen(to); n > 0 && to[n - 1] == '/'; n--)
        to[n - 1] = '\0';
}

static bool is_set(const struct reader *r, const char *name)
{
    return *get(r, name) != '\0';
}

static void read_client_id(const struct reader *r, const char *app, struct identity_settings *id)
{
    text(r, "AZURE_SP_APP_ID", app, NAME_CHARACTERS, id->client_id, sizeof id->client_id, "letters, digits and dashes only");
}

static void read_principal(const struct reader *r, const char *password, struct identity_settings *id)
{
    const char *app = either(r, "AZURE_SP_APP_ID", "AZURE_CLIENT_ID"), *tenant = either(r, "AZURE_SP_TENANT", "AZURE_TENANT_ID");

    id->kind = IDENTITY_PRINCIPAL;
    if (*app == '\0')
        fault(r, "AZURE_SP_APP_ID", "is not set (the app id of the service principal)");
    if (*tenant == '\0')
        fault(r, "AZURE_SP_TENANT", "is not set (the tenant of the service principal)");
    if (*password == '\0' || secret_set(&id->client_secret, password, strlen(password), NULL) != OK)
        fault(r, "AZURE_SP_PASSWORD", "is not set (the secret of the service principal)");
    read_client_id(r, app, id);
    text(r, "AZURE_SP_TENANT", tenant, NAME_CHARACTERS ".", id->tenant, sizeof id->tenant, "letters, digits, dots and dashes only");
}

static void read_app_identity(const struct reader *r, struct identity_settings *id)
{
    const char *at = get(r, "IDENTITY_ENDPOINT"), *header = get(r, "IDENTITY_HEADER");

    id->kind = IDENTITY_APP;
    if (*at == '\0')
        fault(r, "IDENTITY_ENDPOINT", "is not set, but IDENTITY_HEADER is; the platform sets both or none");
    else if (strlen(at) >= sizeof id->endpoint || strpbrk(at, "#@ ") != NULL || (!http_url_safe(at) && !http_url_near(at)))
        fault(r, "IDENTITY_ENDPOINT", "an https address, or http to this machine's own network, is needed");
    if (*header == '\0' || secret_set(&id->header, header, strlen(header), NULL) != OK)
        fault(r, "IDENTITY_HEADER", "is not set, but IDENTITY_ENDPOINT is; the platform sets both or none");
    str_copy(id->endpoint, sizeof id->endpoint, at);
    read_client_id(r, get(r, "AZURE_CLIENT_ID"), id);
}

static void read_vm_identity(const struct reader *r, struct identity_settings *id)
{
    const char *at = get(r, "AZURE_IMDS_ENDPOINT"), *site = r->lookup("WEBSITE_INSTANCE_ID");

    id->kind = IDENTITY_VM;
    if (site != NULL && *site != '\0')
        fault(
            r, "AZURE_SP_APP_ID",
            "is not set, and this app has no managed identity: switch one on (portal: Identity), or set AZURE_SP_APP_ID, AZURE_SP_PASSWORD "
            "and AZURE_SP_TENANT");
    if (!http_url_safe(at) && !str_is(at, IMDS_ENDPOINT))
        fault(r, "AZURE_IMDS_ENDPOINT", IMDS_ENDPOINT " is needed (or an address of this machine itself)");
    text(r, "AZURE_IMDS_ENDPOINT", at, NAME_CHARACTERS ":/.[]", id->endpoint, sizeof id->endpoint, "an address such as " IMDS_ENDPOINT);
    read_client_id(r, get(r, "AZURE_CLIENT_ID"), id);
}

/* In Microsoft's order: a service principal, the app's managed identity, the VM's. Half of one is a fault, not a reason to take the next.
 * AZURE_CLIENT_ID alone is no half: it names a user-assigned identity. Nor is AZURE_TENANT_ID beside an app's identity. */
void settings_read_identity(const struct reader *r, struct settings *s)
{
    const char *password = either(r, "AZURE_SP_PASSWORD", "AZURE_CLIENT_SECRET");
    bool app = is_set(r, "IDENTITY_ENDPOINT") || is_set(r, "IDENTITY_HEADER");

    if (*password != '\0' || is_set(r, "AZURE_SP_APP_ID") || is_set(r, "AZURE_SP_TENANT") || (is_set(r, "AZURE_TENANT_ID") && !app))
        read_principal(r, password, &s->identity);
    else if (app)
        read_app_identity(r, &s->identity);
    else
        read_vm_identity(r, &s->identity);
    url(r, "AZURE_AUTHORITY_HOST", s->identity.authority);
    url(r, "AZURE_ARM_ENDPOINT", s->arm_endpoint);
    url(r, "AZURE_PRICES_ENDPOINT", s->prices_endpoint);
    str_copy(s->identity.resource, sizeof s->identity.resource, s->arm_endpoint);
}
