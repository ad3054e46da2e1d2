/* arm_call.h - one call of ARM, for the sources of this room that make some. */
#ifndef ARM_CALL_H
#define ARM_CALL_H
#include "azure/arm.h"

/* Begins a request at the endpoint; the path is appended to req->url. */
void arm_start(const struct arm *a, const char *method, struct http_request *req);
/* Sends it; 2xx is OK, and the body comes back parsed if answer is not NULL. thing: the code of a 404 that means ERR_ABSENT. */
enum err_code arm_call(const struct arm *a, struct http_request *req, const char *thing, struct json **answer, struct err *err) MUST_CHECK;
/* Whether an address that comes from an answer is at the configured host: else it is not followed, or the token would go elsewhere. */
bool arm_is_here(const struct arm *a, const char *url);
#endif
