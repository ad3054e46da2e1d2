#include "base/xml.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "base/str.h"

#define DEPTH_MAX 24
#define PATH_BYTES 1024
#define TEXT_MAX 4096

/* One text buffer serves all open elements: a child's text stands behind its parent's and is cut off when the child ends. */
struct reader {
    XML_Parser parser;
    xml_visit visit;
    void *ctx;
    char path[PATH_BYTES];
    size_t path_len;
    size_t path_start[DEPTH_MAX]; /* length of the path before each open element */
    size_t text_start[DEPTH_MAX];
    int depth;
    struct str *text;
    bool stopped, doctype, too_deep;
};

static void parser_cleanup(XML_Parser *parser)
{
    if (*parser)
        XML_ParserFree(*parser);
}

static void on_doctype(void *data, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id, int internal)
{
    struct reader *r = data;
    (void)name, (void)system_id, (void)public_id, (void)internal;
    r->doctype = true;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = data;
    (void)attributes;
    size_t len = strlen(name);
    if (r->depth == DEPTH_MAX || r->path_len + len + 2 > sizeof r->path) {
        r->too_deep = true;
        (void)XML_StopParser(r->parser, XML_FALSE);
        return;
    }
    r->path_start[r->depth] = r->path_len;
    r->text_start[r->depth++] = r->text->len;
    if (r->path_len)
        r->path[r->path_len++] = '/';
    memcpy(r->path + r->path_len, name, len + 1);
    r->path_len += len;
}

static void on_text(void *data, const XML_Char *bytes, int len)
{
    struct reader *r = data;
    if (r->depth == 0 || len < 0 || r->text->failed)
        return;
    size_t have = r->text->len - r->text_start[r->depth - 1];
    size_t take = (size_t)len, room = TEXT_MAX - have;
    if (take > room) {
        take = room;
        while (take > 0 && ((unsigned char)bytes[take] & 0xC0) == 0x80)
            take--;
    }
    str_add_n(r->text, bytes, take);
}

static void on_end(void *data, const XML_Char *name)
{
    struct reader *r = data;
    (void)name;
    if (r->stopped || r->too_deep || r->depth == 0)
        return;
    size_t start = r->text_start[--r->depth];
    const char *text = str_c(r->text);
    if (!text || !r->visit(r->ctx, r->path, text + start)) {
        r->stopped = true;
        (void)XML_StopParser(r->parser, XML_FALSE);
        return;
    }
    if (r->text->p) {
        r->text->len = start;
        r->text->p[start] = '\0';
    }
    r->path_len = r->path_start[r->depth];
    r->path[r->path_len] = '\0';
}

enum err_code xml_read(const char *xml, size_t len, xml_visit visit, void *ctx, struct err *err)
{
    if (len > INT_MAX)
        return err_set(err, ERR_INPUT, "not XML: too long");
    __attribute__((cleanup(parser_cleanup))) XML_Parser parser = XML_ParserCreate(NULL);
    if (!parser)
        return err_set(err, ERR_MEMORY, "no memory to read XML");
    AUTO_STR text = STR_MAX((size_t)DEPTH_MAX * TEXT_MAX);
    struct reader r = {.parser = parser, .visit = visit, .ctx = ctx, .text = &text};
    XML_SetUserData(parser, &r);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_SetStartDoctypeDeclHandler(parser, on_doctype);
    enum XML_Status status = XML_Parse(parser, len ? xml : "", (int)len, XML_TRUE);
    if (text.failed)
        return err_set(err, ERR_MEMORY, "no memory to read XML");
    if (r.doctype)
        return err_set(err, ERR_INPUT, "not XML that is accepted: it has a DOCTYPE");
    if (r.too_deep)
        return err_set(err, ERR_INPUT, "not XML that is accepted: nested too deeply");
    if (status != XML_STATUS_OK && !r.stopped)
        return err_set(err, ERR_INPUT, "not XML: %s in line %lu", XML_ErrorString(XML_GetErrorCode(parser)),
                       (unsigned long)XML_GetCurrentLineNumber(parser));
    return OK;
}
