#include "server/invocation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/json.h"

#define DEPTH_MAX 64 /* a message that is JSON is merged into Metadata by the host */
#define TEXT_MAX (1024 * 1024)

/* The host writes a string value as JSON inside a JSON string; the documentation's examples do not. Adds the inner text if it is one, else
 * the text as it is. */
static void add_unwrapped(struct str *to, const char *text)
{
    size_t len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        AUTO_JSON inner = NULL;
        if (json_parse(text, len, 1, &inner, NULL) == OK && json_text(inner)) {
            str_add(to, json_text(inner));
            return;
        }
    }
    str_add(to, text);
}

static void read_text(const struct json *value, bool binary, struct str *to)
{
    const char *text = json_text(value);
    if (!text) {
        if (json_type(value) != JSON_NULL)
            json_put_value(to, NULL, value);
        return;
    }
    if (binary && base64_decode(to, text, strlen(text), NULL) == OK)
        return;
    str_clear(to);
    add_unwrapped(to, text);
}

/* A member of Metadata as plain text: a number, a string, or a string in a string. */
static void read_plain(const struct json *metadata, const char *name, char *out, size_t size)
{
    const struct json *value = json_get(metadata, name);
    int64_t number = 0;
    if (json_int(value, &number)) {
        snprintf(out, size, "%" PRId64, number);
    } else if (json_text(value)) {
        AUTO_STR plain = STR_MAX(TEXT_MAX);
        add_unwrapped(&plain, json_text(value));
        str_copy(out, size, str_c(&plain));
    }
}

enum err_code invocation_parse(const char *body, size_t len, const char *binding, bool binary, struct invocation *out, struct err *err)
{
    out->text = STR_MAX(TEXT_MAX);
    out->message_id[0] = '\0';
    out->dequeue_count = 0;
    AUTO_JSON root = NULL;
    enum err_code code = json_parse(body, len, DEPTH_MAX, &root, err);
    if (code != OK) {
        err_context(err, "the host's call is not JSON");
        return code;
    }
    if (json_type(root) != JSON_OBJECT)
        return err_set(err, ERR_INPUT, "the host's call is not a JSON object");
    const struct json *metadata = json_get(root, "Metadata");
    read_plain(metadata, "Id", out->message_id, sizeof out->message_id);
    char count[16] = "";
    read_plain(metadata, "DequeueCount", count, sizeof count);
    char *end = NULL;
    long dequeued = strtol(count, &end, 10);
    if (*end == '\0' && dequeued > 0 && dequeued < 1000000)
        out->dequeue_count = (int)dequeued;
    if (!binding)
        return OK;
    const struct json *value = json_get(json_get(root, "Data"), binding);
    if (!value)
        return err_set(err, ERR_INPUT, "the host's call has no Data.%s: does function.json name its binding so?", binding);
    read_text(value, binary, &out->text);
    return str_check(&out->text, "the message", err);
}

void invocation_done(struct invocation *inv)
{
    if (inv)
        str_done(&inv->text);
}

void invocation_answer(struct str *to, const char *log_line)
{
    json_open(to, NULL, '{');
    json_open(to, "Outputs", '{');
    json_close(to, '}');
    json_open(to, "Logs", '[');
    if (log_line)
        json_put_text(to, NULL, log_line);
    json_close(to, ']');
    json_put_null(to, "ReturnValue");
    json_close(to, '}');
}
