#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum err_code err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (!err)
        return code;
    /* The arguments may point into err itself, so the text is made aside first. */
    char text[2 * sizeof err->msg];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memset(err, 0, sizeof *err);
    err->code = code;
    str_copy(err->msg, sizeof err->msg, text);
    return code;
}

enum err_code err_context(struct err *err, const char *format, ...)
{
    if (!err)
        return ERR_INTERNAL;
    /* Room for both, so that only str_copy cuts, and not inside a character. */
    char context[sizeof err->msg], text[2 * sizeof err->msg + 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(context, sizeof context, format, args);
    va_end(args);
    (void)snprintf(text, sizeof text, "%s: %s", context, err->msg);
    str_copy(err->msg, sizeof err->msg, text);
    return err->code;
}

const char *err_name(enum err_code code)
{
    switch (code) {
    case OK:
        return "ok";
    case ERR_MEMORY:
        return "memory";
    case ERR_INPUT:
        return "input";
    case ERR_REFUSED:
        return "refused";
    case ERR_TOO_LARGE:
        return "too large";
    case ERR_ABSENT:
        return "absent";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_UNREACHABLE:
        return "unreachable";
    case ERR_INTERNAL:
        return "internal";
    }
    return "unknown";
}
