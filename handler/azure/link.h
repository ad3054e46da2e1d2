/* link.h - reading a file behind a link that carries its own signature: the whole address is a secret, and errors name its host only. */
#ifndef LINK_H
#define LINK_H
#include "http/http.h"

/* The last bytes of it, as many as to->max takes, within call_ms. *cut tells whether there was more before them. 404 is ERR_ABSENT. */
enum err_code link_tail(const struct http *http, const struct secret *link, int64_t call_ms, struct str *to, bool *cut,
                        struct err *err) MUST_CHECK;
#endif
