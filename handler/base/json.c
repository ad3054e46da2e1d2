#include "base/json.h"

#include <math.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/json_scan.h"

#define KEYS_MAX 5000                     /* of one object: each is compared with each */
#define EXACT_INTEGERS 9007199254740992.0 /* 2^53: from here on a double may stand for its neighbour */

static const cJSON *node(const struct json *v)
{
    return (const cJSON *)v;
}

static const struct json *face(const cJSON *v)
{
    return (const struct json *)v;
}

/* What the text's grammar does not show: keys that come twice, numbers beyond a double. The depth is bounded by the scan before. */
static enum err_code check_tree(const cJSON *v, struct err *err) // NOLINT(misc-no-recursion)
{
    if (cJSON_IsNumber(v) && !isfinite(v->valuedouble))
        return err_set(err, ERR_INPUT, "not JSON that is accepted: a number is too large");
    size_t keys = 0;
    for (const cJSON *a = v->child; a; a = a->next) {
        if (cJSON_IsObject(v) && ++keys > KEYS_MAX)
            return err_set(err, ERR_INPUT, "not JSON that is accepted: more than %d keys in one object", KEYS_MAX);
        for (const cJSON *b = cJSON_IsObject(v) ? a->next : NULL; b; b = b->next)
            if (strcmp(a->string, b->string) == 0)
                return err_set(err, ERR_INPUT, "not JSON that is accepted: a key comes twice");
        enum err_code code = check_tree(a, err);
        if (code)
            return code;
    }
    return OK;
}

enum err_code json_parse(const char *text, size_t len, int max_depth, struct json **ret, struct err *err)
{
    enum err_code code = json_scan(text, len, max_depth, err);
    if (code)
        return code;
    /* The scan found the text well-formed, so only memory can fail here. */
    cJSON *root = cJSON_ParseWithLengthOpts(text, len, NULL, 0);
    if (!root)
        return err_set(err, ERR_MEMORY, "no memory to read JSON");
    code = check_tree(root, err);
    if (code) {
        cJSON_Delete(root);
        return code;
    }
    *ret = (struct json *)root;
    return OK;
}

void json_free(struct json *root)
{
    cJSON_Delete((cJSON *)root);
}

void json_cleanup(struct json **root)
{
    json_free(*root);
    *root = NULL;
}

enum json_type json_type(const struct json *v)
{
    const cJSON *n = node(v);
    if (!n || cJSON_IsNull(n))
        return JSON_NULL;
    if (cJSON_IsBool(n))
        return JSON_BOOL;
    if (cJSON_IsNumber(n))
        return JSON_NUMBER;
    if (cJSON_IsString(n))
        return JSON_STRING;
    return cJSON_IsArray(n) ? JSON_ARRAY : JSON_OBJECT;
}

const struct json *json_get(const struct json *object, const char *name)
{
    return json_type(object) == JSON_OBJECT ? face(cJSON_GetObjectItemCaseSensitive(node(object), name)) : NULL;
}

const struct json *json_path(const struct json *object, const char *dotted)
{
    while (object) {
        char name[64];
        size_t len = strcspn(dotted, ".");
        if (len >= sizeof name)
            return NULL;
        memcpy(name, dotted, len);
        name[len] = '\0';
        object = json_get(object, name);
        if (!dotted[len])
            return object;
        dotted += len + 1;
    }
    return NULL;
}

static bool has_members(const struct json *v)
{
    return json_type(v) == JSON_ARRAY || json_type(v) == JSON_OBJECT;
}

size_t json_len(const struct json *v)
{
    size_t count = 0;
    if (has_members(v))
        for (const cJSON *child = node(v)->child; child; child = child->next)
            count++;
    return count;
}

const struct json *json_at(const struct json *v, size_t index)
{
    const cJSON *child = has_members(v) ? node(v)->child : NULL;
    while (child && index--)
        child = child->next;
    return face(child);
}

const char *json_name(const struct json *member)
{
    return member && node(member)->string ? node(member)->string : "";
}

const char *json_text(const struct json *v)
{
    return json_type(v) == JSON_STRING ? node(v)->valuestring : NULL;
}

bool json_number(const struct json *v, double *out)
{
    if (json_type(v) != JSON_NUMBER)
        return false;
    *out = node(v)->valuedouble;
    return true;
}

bool json_int(const struct json *v, int64_t *out)
{
    double number = 0;
    if (!json_number(v, &number) || !(fabs(number) < EXACT_INTEGERS) || number != (double)(int64_t)number)
        return false;
    *out = (int64_t)number;
    return true;
}

bool json_true(const struct json *v)
{
    return v && cJSON_IsTrue(node(v));
}

const char *json_get_text(const struct json *object, const char *name)
{
    const char *text = json_text(json_get(object, name));
    return text ? text : "";
}

int64_t json_get_int(const struct json *object, const char *name, int64_t otherwise)
{
    int64_t value = otherwise;
    return json_int(json_get(object, name), &value) ? value : otherwise;
}
