/* blob_list: pages of XML, one visit a blob. */
#include "azure/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/xml.h"

#define PAGE_BLOBS "1000"
#define PAGE_BYTES (8u * 1024 * 1024)
#define PAGES_MAX 10000
#define NAME_MAX_BYTES 4096
#define BLOB "EnumerationResults/Blobs/Blob"

struct page {
    blob_visit visit;
    void *ctx;
    char name[NAME_MAX_BYTES];
    struct blob_info info;
    char marker[NAME_MAX_BYTES]; /* of the next page; "" at the end */
    bool stopped;
};

/* In lists ETags come without quotes, in headers with them. */
static void set_etag(char to[ETAG_MAX], const char *text)
{
    AUTO_STR quoted = STR_MAX(ETAG_MAX - 1);
    str_addf(&quoted, text[0] == '"' ? "%s" : "\"%s\"", text);
    str_copy(to, ETAG_MAX, str_c(&quoted));
}

static _Bool on_element(void *ctx, const char *path, const char *text)
{
    struct page *p = ctx;
    if (str_is(path, "EnumerationResults/NextMarker")) {
        str_copy(p->marker, sizeof p->marker, text);
    } else if (str_is(path, BLOB)) {
        p->stopped = !p->visit(p->ctx, p->name, &p->info);
        p->name[0] = '\0';
        p->info = (struct blob_info){0};
        return !p->stopped;
    } else if (str_is(path, BLOB "/Name")) {
        str_copy(p->name, sizeof p->name, text);
    } else if (str_is_nocase(path, BLOB "/Properties/Etag")) {
        set_etag(p->info.etag, text);
    } else if (str_is(path, BLOB "/Properties/Content-Length")) {
        p->info.size = strtoll(text, NULL, 10);
    } else if (str_is(path, BLOB "/Properties/Last-Modified")) {
        (void)date_parse_http(text, &p->info.modified_s);
    } else if (str_is(path, BLOB "/Properties/CopyStatus")) {
        str_copy(p->info.copy_status, sizeof p->info.copy_status, text);
    } else if (str_is_nocase(path, BLOB "/Metadata/job")) {
        str_copy(p->info.meta_job, sizeof p->info.meta_job, text);
    } else if (str_is_nocase(path, BLOB "/Metadata/version")) {
        str_copy(p->info.meta_version, sizeof p->info.meta_version, text);
    }
    return true;
}

/* p->marker is that of this page before, that of the next after. */
static enum err_code read_page(const struct storage *s, const char *container, const char *prefix, struct page *p, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_STR path = STR_MAX(8000);
    str_add(&path, "/");
    str_add_percent(&path, container);
    str_add(&path, "?restype=container&comp=list&include=metadata%2Ccopy&maxresults=" PAGE_BLOBS);
    if (prefix[0]) {
        str_add(&path, "&prefix=");
        str_add_percent(&path, prefix);
    }
    if (p->marker[0]) {
        str_add(&path, "&marker=");
        str_add_percent(&path, p->marker);
    }
    storage_request(s, STORAGE_BLOB, "GET", str_c(&path), &req);
    req.answer_max = PAGE_BYTES;
    enum err_code code = storage_send(s, &req, &res, err);
    if (code)
        return code;
    p->marker[0] = '\0';
    code = xml_read(res.body.p, res.body.len, on_element, p, err);
    if (code)
        return err_set(err, ERR_UNREACHABLE, "the list of blobs cannot be read");
    return OK;
}

static void free_page(struct page **p)
{
    free(*p);
}

enum err_code blob_list(const struct storage *s, const char *container, const char *prefix, blob_visit visit, void *ctx, struct err *err)
{
    __attribute__((cleanup(free_page))) struct page *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ERR_MEMORY, "no memory to list blobs");
    p->visit = visit;
    p->ctx = ctx;
    for (int pages = 0; pages < PAGES_MAX; pages++) {
        enum err_code code = read_page(s, container, prefix ? prefix : "", p, err);
        if (code == ERR_ABSENT && pages == 0)
            return OK;
        if (code || p->stopped || !p->marker[0])
            return code;
    }
    return err_set(err, ERR_UNREACHABLE, "the list of blobs does not end");
}
