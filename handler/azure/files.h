/* files.h - the few Azure Files calls that the handler needs. Paths are given plain ("folder/name"), escaped here. */
#ifndef FILES_H
#define FILES_H
#include "azure/blob.h"

struct file_info {
    char etag[ETAG_MAX];
    int64_t size, modified_s, answered_s; /* answered_s: the reply's own Date */
};
enum err_code files_head(const struct storage *s, const char *share, const char *path, struct file_info *info, struct err *err) MUST_CHECK;
/* Bytes [from, from+len) into body; info is that of this answer. */
enum err_code files_read(const struct storage *s, const char *share, const char *path, int64_t from, int64_t len, struct str *body,
                         struct file_info *info, struct err *err) MUST_CHECK;
/* Creates or replaces; at most 4 MiB. A missing directory is ERR_ABSENT. */
enum err_code files_write(const struct storage *s, const char *share, const char *path, const char *text, size_t len,
                          struct err *err) MUST_CHECK;
enum err_code files_make_directory(const struct storage *s, const char *share, const char *path,
                                   struct err *err) MUST_CHECK;                                           /* exists: OK; one level */
enum err_code files_create_share(const struct storage *s, const char *share, struct err *err) MUST_CHECK; /* exists: OK */
/* Whether it is there, without making it: ERR_ABSENT when it is not. */
enum err_code files_find_share(const struct storage *s, const char *share, struct err *err) MUST_CHECK;
/* Names (files only) directly in a directory ("" is the root) that start with prefix, with their last-modified where the service gives it
 * (else 0). */
typedef bool (*files_visit)(void *ctx, const char *name, int64_t modified_s);
enum err_code files_list(const struct storage *s, const char *share, const char *directory, const char *prefix, files_visit visit,
                         void *ctx, struct err *err) MUST_CHECK;
#endif
