/* classes.c - the list of class names of a message (job/rules.h). */
#include <stdlib.h>
#include <string.h>

#include "job/checks.h"
#include "job/text.h"

#define NAME_CHARACTERS 64

bool rules_split_classes(struct reading *r, char *text)
{
    bool folded = false;
    r->items = 0;
    for (char *p = text, *start = text;; p++) {
        size_t wide = str_starts(p, "，") ? strlen("，") : 0;
        if (*p && *p != ',' && wide == 0)
            continue;
        bool end = *p == '\0';
        *p = '\0';
        if (r->items <= CLASSES_MAX)
            r->item[r->items] = text_trim(start);
        r->items++;
        folded = folded || wide > 0;
        p += wide > 0 ? wide - 1 : 0;
        start = p + 1;
        if (end)
            return folded;
    }
}

/* Keeps the names that are good and not there yet. */
static void keep(struct reading *r, struct request *q, const char *name)
{
    if (!q->classes) {
        char(*room)[CLASS_NAME_MAX] = calloc(CLASSES_MAX, sizeof *room);
        if (!room) {
            r->failed = true;
            return;
        }
        q->classes = room;
    }
    str_copy(q->classes[q->classes_count++], CLASS_NAME_MAX, name);
}

static bool has_class(const struct request *q, const char *name)
{
    for (int32_t i = 0; i < q->classes_count; i++)
        if (str_is(q->classes[i], name))
            return true;
    return false;
}

/* The fault's code, or NULL for a good name. */
static const char *judge(const struct reading *r, const struct request *q, const char *name, const char **wrong)
{
    *wrong = NULL;
    if (!*name)
        *wrong = "is empty (two commas in a row?)";
    else if (strpbrk(name, CLASS_FORBIDDEN) || (r->colon && strchr(name, ':')) || text_has_control(name))
        return *wrong = "has characters that are not allowed", "E13";
    else if (text_characters(name) > NAME_CHARACTERS)
        *wrong = "is longer than 64 characters";
    else if (has_class(q, name))
        *wrong = "is there twice";
    return *wrong ? "E06" : NULL;
}

void check_classes(struct reading *r, enum rule_id id, const char *text)
{
    (void)text;
    struct request *q = &r->m->request;
    request_done(q);
    if (r->items == 0 || r->items > CLASSES_MAX) {
        rules_fault(r, id, "E06", "%zu names; allowed: 1 to %d, or leave it out", r->items, CLASSES_MAX);
        check_default_classes(r);
        return;
    }
    const char *said = NULL; /* one fault of each code is enough */
    for (size_t i = 0; i < r->items && !r->failed; i++) {
        const char *wrong = NULL;
        AUTO_STR name = STR_MAX(64 * 1024);
        str_add(&name, r->item[i]);
        if (name.failed || !name.p) {
            r->failed = name.failed;
            str_clear(&name);
        }
        const char *trimmed = name.p ? text_trim(name.p) : "", *code = judge(r, q, trimmed, &wrong);
        char shown[ECHO_MAX];
        text_echo(trimmed, shown, sizeof shown);
        if (!code)
            keep(r, q, trimmed);
        else if (!said || !str_is(said, code)) {
            rules_fault(r, id, code, "`%s` (name %zu) %s; allowed: %s", shown, i + 1, wrong, rules_field(id)->allowed);
            said = code;
        }
    }
    if (q->classes_count == 0)
        check_default_classes(r);
}

void check_default_classes(struct reading *r)
{
    struct request *q = &r->m->request;
    request_done(q);
    AUTO_STR text = STR_MAX(64 * 1024);
    str_add(&text, r->defaults->classes ? r->defaults->classes : "");
    r->failed = r->failed || text.failed;
    if (r->failed || !text.p || !*text_trim(text.p))
        return;
    rules_split_classes(r, text.p);
    for (size_t i = 0; i < r->items && i < CLASSES_MAX && !r->failed; i++) {
        const char *wrong = NULL;
        if (!judge(r, q, r->item[i], &wrong))
            keep(r, q, r->item[i]);
    }
    r->items = 0;
}
