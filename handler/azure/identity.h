/* identity.h - tokens for ARM from a service principal, cached in memory, refreshed 5 min early, one refresher at a time.
 *
 * Thread-safe. A failed refresh keeps the old token until it really expires. A 401 drops exactly the token that was refused (a newer one
 * stays) and is tried once more. */
#ifndef IDENTITY_H
#define IDENTITY_H
#include "http/http.h"

struct identity_settings {
    char authority[256]; /* https://login.microsoftonline.com */
    char tenant[128], client_id[128];
    struct secret client_secret;
    char resource[256]; /* ARM's base URL; scope is resource + "/.default" */
};
struct identity;
enum err_code identity_open(const struct identity_settings *settings, const struct http *http, struct identity **ret,
                            struct err *err) MUST_CHECK; /* copies settings */
void identity_close(struct identity *id);
struct http_authorizer identity_authorizer(struct identity *id);
/* Makes sure of a living token: asks for one only when there is none. */
enum err_code identity_check(struct identity *id, struct err *err) MUST_CHECK;
/* How the last sign-in ended, without asking: OK also before the first one. */
enum err_code identity_last(struct identity *id, struct err *err);
/* err->remote of a refused sign-in is "sign_in"; msg is e.g. "cannot sign in as app <client_id>: AADSTS7000215: Invalid client secret
 * provided." (the description up to its first line end). */
#endif
