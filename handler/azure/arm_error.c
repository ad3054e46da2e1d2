/* What an error of ARM really says: the innermost code that is not a wrapper (facts: ARM, section 7). */
#include "azure/arm.h"

#include <string.h>

#define DEPTH_MAX 8
#define JSON_DEPTH 64

static bool is_wrapper(const char *code)
{
    static const char *const codes[] = {"DeploymentFailed", "InvalidTemplateDeployment", "ResourceDeploymentFailure",
                                        "BadRequest",       "ResourceOperationFailure",  "PreflightValidationCheckFailed",
                                        "Conflict",         "MultipleErrorsOccurred"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (str_is_nocase(code, codes[i]))
            return true;
    return code[0] == '\0';
}

/* Runs of blanks and control characters become one blank; tags of HTML go. */
static void set_line(char *to, size_t size, const char *text)
{
    AUTO_STR line = STR_MAX(4 * size);
    bool html = text[strspn(text, " \t\r\n")] == '<', tag = false, gap = false;
    for (const char *p = text; *p && line.len + 2 < line.max; p++) {
        if (html && (*p == '<' || *p == '>')) {
            tag = *p == '<';
            gap = true;
        } else if ((unsigned char)*p <= ' ' || *p == 0x7F) {
            gap = true;
        } else if (!tag) {
            if (gap && line.len)
                str_add(&line, " ");
            gap = false;
            str_add_n(&line, p, 1);
        }
    }
    if (!str_is_utf8(line.p ? line.p : "", line.len)) /* a page of some proxy, in a code page of its own */
        for (size_t i = 0; line.p && i < line.len; i++)
            if ((unsigned char)line.p[i] >= 0x80)
                line.p[i] = '?';
    str_copy(to, size, str_c(&line));
}

static bool descend(const struct json *node, int depth, struct arm_error *out);

static bool descend_text(const char *text, int depth, struct arm_error *out) // NOLINT(misc-no-recursion)
{
    AUTO_JSON inner = NULL;
    if (!text || text[strspn(text, " \t\r\n")] != '{')
        return false;
    return json_parse(text, strlen(text), JSON_DEPTH, &inner, NULL) == OK && descend(inner, depth, out);
}

/* Takes over an inner finding, if it says more than what is there. */
static bool take_better(const struct arm_error *inner, struct arm_error *out)
{
    if (is_wrapper(inner->code) && !(is_wrapper(out->code) && inner->code[0]))
        return false;
    char message[sizeof out->message];
    str_copy(message, sizeof message, inner->message[0] ? inner->message : out->message);
    str_copy(out->code, sizeof out->code, inner->code);
    str_copy(out->message, sizeof out->message, message);
    return true;
}

static void look_inside(const struct json *child, int depth, struct arm_error *out) // NOLINT(misc-no-recursion)
{
    struct arm_error inner = {{0}, {0}};
    if (child && descend(child, depth + 1, &inner))
        (void)take_better(&inner, out);
}

/* Some write the code into `status` and leave the error's own empty. */
static void use_status(const struct json *node, struct arm_error *out)
{
    const char *status = json_get_text(node, "status");
    if (!out->code[0] && status[0] && !str_is_nocase(status, "Failed") && !str_is_nocase(status, "Canceled"))
        str_copy(out->code, sizeof out->code, status);
}

/* Fills out with the best finding below node; false when there is none. */
static bool descend(const struct json *node, int depth, struct arm_error *out) // NOLINT(misc-no-recursion)
{
    if (depth > DEPTH_MAX)
        return false;
    if (json_type(node) == JSON_STRING)
        return descend_text(json_text(node), depth, out);
    if (json_type(node) == JSON_ARRAY) {
        for (size_t i = 0; i < json_len(node) && is_wrapper(out->code); i++)
            look_inside(json_at(node, i), depth, out);
        return out->code[0] || out->message[0];
    }
    if (json_type(node) != JSON_OBJECT)
        return false;
    const struct json *error = json_get(node, "error");
    const char *message = json_get_text(node, "message");
    str_copy(out->code, sizeof out->code, json_get_text(node, "code"));
    set_line(out->message, sizeof out->message, message);
    if (json_type(error) == JSON_STRING && json_text(error)[0] != '{') { /* the sign-in service's form */
        str_copy(out->code, sizeof out->code, json_text(error));
        set_line(out->message, sizeof out->message, json_get_text(node, "error_description"));
        return true;
    }
    struct arm_error inner = {{0}, {0}};
    if (error && descend(error, depth + 1, &inner) && !take_better(&inner, out) && !out->message[0])
        str_copy(out->message, sizeof out->message, inner.message);
    look_inside(json_get(node, "details"), depth - 1, out); /* the array itself is no level */
    look_inside(json_get(node, "innererror"), depth, out);
    struct arm_error written = {{0}, {0}};
    if (descend_text(message, depth + 1, &written))
        (void)take_better(&written, out);
    if (error)
        use_status(node, out);
    return out->code[0] || out->message[0];
}

void arm_error_from(const struct json *error, struct arm_error *out)
{
    *out = (struct arm_error){{0}, {0}};
    (void)descend(error, 0, out);
}

void arm_error_read(const char *body, size_t len, struct arm_error *out)
{
    AUTO_JSON root = NULL;
    *out = (struct arm_error){{0}, {0}};
    if (len >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0) {
        body += 3;
        len -= 3;
    }
    if (len && json_parse(body, len, JSON_DEPTH, &root, NULL) == OK) {
        arm_error_from(root, out);
        return;
    }
    /* Not JSON: a page of a proxy, or half an answer. Its words are all there is. */
    AUTO_STR text = STR_MAX(4096);
    str_add_n(&text, body, strnlen(body ? body : "", len < text.max ? len : text.max));
    set_line(out->message, sizeof out->message, str_c(&text));
}
