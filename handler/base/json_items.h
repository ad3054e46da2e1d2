/* json_items.h - long lists from a stream, one element at a time: an answer of several MB never lies in memory whole.
 *
 * The text is one object. Objects and arrays that are elements of an array that is a member of it ({"value":[{..},{..}],"nextLink":".."})
 * are parsed, handed out and forgotten as they come; the rest is kept and parsed at the end, those arrays being empty. Each element and the
 * rest follow json_parse's rules; only the commas between elements are not looked at. */
#ifndef JSON_ITEMS_H
#define JSON_ITEMS_H
#include "base/json.h"

struct json_items {
    void (*item)(void *ctx, const struct json *item);
    void *ctx;
    struct str one, rest;
    int depth;
    char second; /* the bracket at depth 2 */
    bool quoted, escaped;
    struct err fault; /* the first one; what comes after is thrown away */
};
void json_items_start(struct json_items *r, void (*item)(void *ctx, const struct json *item), void *ctx);
void json_items_feed(struct json_items *r, const void *bytes, size_t len);
/* After the last byte: *rest is the caller's (json_free). ERR_INPUT for what is not such a text, ERR_TOO_LARGE for an element or rest that
 * is too long. */
enum err_code json_items_end(struct json_items *r, struct json **rest, struct err *err) MUST_CHECK;
void json_items_done(struct json_items *r);
#define AUTO_ITEMS __attribute__((cleanup(json_items_done))) struct json_items
#endif
