/* rights.h - what the app's identity may do in its subscription, as Azure itself counts its roles together. Reads only. */
#ifndef RIGHTS_H
#define RIGHTS_H
#include "azure/arm.h"

/* allowed[i] says whether actions[i] is granted by one role or another; a role's notActions take away from that role alone. Deny
 * assignments and policies are not seen. */
enum err_code rights_read(const struct arm *a, const char *const actions[], size_t count, bool allowed[], struct err *err) MUST_CHECK;
/* Azure's own rule: without case, and `*` stands for anything, slashes too. */
bool rights_cover(const char *pattern, const char *action);
#endif
