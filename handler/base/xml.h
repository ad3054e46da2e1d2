/* xml.h - the only file that knows expat: the text of elements, by path. DOCTYPE is refused; a BOM is accepted. */
#ifndef XML_H
#define XML_H
#include <stddef.h>

#include "base/error.h"

/* Called at the end of each element with its path ("EnumerationResults/Blobs/Blob/Name") and own text (entities decoded, cut at 4 KiB).
 * Return false to stop. */
typedef _Bool (*xml_visit)(void *ctx, const char *path, const char *text);
enum err_code xml_read(const char *xml, size_t len, xml_visit visit, void *ctx, struct err *err) MUST_CHECK;
#endif
