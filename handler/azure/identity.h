/* identity.h - tokens for ARM, cached in memory, refreshed 5 min early, one refresher at a time.
 *
 * Thread-safe. A failed refresh keeps the old token until it really expires. A 401 drops exactly the token that was refused (a newer one
 * stays) and is tried once more. */
#ifndef IDENTITY_H
#define IDENTITY_H
#include "azure/sign_in.h"

struct identity;
enum err_code identity_open(const struct identity_settings *settings, const struct http *http, struct identity **ret,
                            struct err *err) MUST_CHECK; /* copies settings */
void identity_close(struct identity *id);
struct http_authorizer identity_authorizer(struct identity *id);
/* Makes sure of a living token. What a failure says is sign_in.h's, e.g. "cannot sign in as app <client_id>: AADSTS7000215: Invalid client
 * secret provided." */
enum err_code identity_try(struct identity *id, int64_t deadline_ms, struct err *err) MUST_CHECK;
/* How the last sign-in ended, without asking: OK also before the first one. */
enum err_code identity_last(struct identity *id, struct err *err);
#endif
