#include "base/json_items.h"

#include <string.h>

#define PIECE_MAX (64u * 1024)
#define DEPTH_MAX 16

void json_items_start(struct json_items *r, void (*item)(void *ctx, const struct json *item), void *ctx)
{
    *r = (struct json_items){.item = item, .ctx = ctx, .one = STR_MAX(PIECE_MAX), .rest = STR_MAX(PIECE_MAX)};
}

void json_items_done(struct json_items *r)
{
    str_done(&r->one);
    str_done(&r->rest);
}

static bool in_list(const struct json_items *r)
{
    return r->depth == 2 && r->second == '[';
}

static bool in_item(const struct json_items *r)
{
    return r->depth > 2 && r->second == '[';
}

static void hand_out(struct json_items *r)
{
    AUTO_JSON item = NULL;

    if (r->one.failed)
        (void)err_set(&r->fault, ERR_TOO_LARGE, "an element of more than %u bytes", PIECE_MAX);
    else if (json_parse(str_c(&r->one), r->one.len, DEPTH_MAX, &item, &r->fault) == OK)
        r->item(r->ctx, item);
    str_clear(&r->one);
}

/* What one byte does to the place; true when it is of no account: blanks and commas between elements. */
static bool step(struct json_items *r, char c)
{
    if (r->quoted) {
        r->quoted = r->escaped || c != '"';
        r->escaped = !r->escaped && c == '\\';
    } else if (c == '"') {
        r->quoted = true;
    } else if (c == '{' || c == '[') {
        if (++r->depth == 2)
            r->second = c;
    } else if (c == '}' || c == ']') {
        r->depth--;
    } else {
        return in_list(r) && c != '\0' && strchr(", \t\r\n", c) != NULL;
    }
    return false;
}

void json_items_feed(struct json_items *r, const void *bytes, size_t len)
{
    const char *text = bytes;
    size_t from = 0;

    for (size_t i = 0; i < len && r->fault.code == OK; i++) {
        bool inside = in_item(r);
        bool skipped = step(r, text[i]);
        if (skipped || (!inside && in_item(r))) { /* the rest ends before this byte */
            str_add_n(&r->rest, text + from, i - from);
            from = skipped ? i + 1 : i;
        } else if (inside && in_list(r)) { /* an element ends with it */
            str_add_n(&r->one, text + from, i + 1 - from);
            from = i + 1;
            hand_out(r);
        }
    }
    if (r->fault.code == OK && from < len)
        str_add_n(in_item(r) ? &r->one : &r->rest, text + from, len - from);
}

enum err_code json_items_end(struct json_items *r, struct json **rest, struct err *err)
{
    if (r->fault.code != OK) {
        if (err != NULL)
            *err = r->fault;
        return r->fault.code;
    }
    if (in_item(r))
        return err_set(err, ERR_INPUT, "the text ends within an element");
    if (r->rest.failed)
        return err_set(err, ERR_TOO_LARGE, "more than %u bytes beside the elements", PIECE_MAX);
    return json_parse(str_c(&r->rest), r->rest.len, DEPTH_MAX, rest, err);
}
