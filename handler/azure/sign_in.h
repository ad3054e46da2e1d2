/* sign_in.h - asks for one token for ARM: of a service principal, of the managed identity of App Service and Functions, or of that of a VM.
 *
 * Nothing is kept here; identity.c caches. Pure but for the request it sends. */
#ifndef SIGN_IN_H
#define SIGN_IN_H
#include "http/http.h"

#define TOKEN_MAX 15000 /* what a header takes */
#define IMDS_ENDPOINT "http://169.254.169.254"

enum identity_kind { IDENTITY_PRINCIPAL, IDENTITY_APP, IDENTITY_VM };
struct identity_settings {
    enum identity_kind kind;
    char authority[256]; /* of a principal: https://login.microsoftonline.com */
    char tenant[128];
    char client_id[128]; /* of a principal; else it names a user-assigned identity, and "" is the system-assigned one */
    struct secret client_secret;
    char endpoint[512];   /* IDENTITY_APP: IDENTITY_ENDPOINT of the platform; IDENTITY_VM: IMDS_ENDPOINT, or a test's */
    struct secret header; /* IDENTITY_APP: IDENTITY_HEADER, the proof that this process is the app */
    char resource[256];   /* ARM's base URL: a principal's scope is resource + "/.default", the others ask for resource + "/" */
};
/* ERR_INPUT when something is missing, or the secret would travel in clear beyond this machine and the platform around it. */
enum err_code sign_in_check(const struct identity_settings *set, struct err *err) MUST_CHECK;
/* A token and how long it lives from now on; written only when all of the answer is good. A refusal is ERR_REFUSED with err->remote
 * "sign_in", and its reason is in err->msg up to the first line end; outages were tried again (IMDS's 410 and the 404 of both managed
 * kinds too) and are ERR_UNREACHABLE. */
enum err_code sign_in_token(const struct identity_settings *set, const struct http *http, int64_t deadline_ms, struct secret *token,
                            int64_t *lifetime_s, struct err *err) MUST_CHECK;
/* "as app <client_id>", "with the managed identity of this app": behind "cannot sign in". */
#define SIGN_IN_WHO 192
void sign_in_who(const struct identity_settings *set, char out[SIGN_IN_WHO]);
#endif
