/* Answers of the storage services. */
#include "base/xml.h"
#include "fuzz.h"

static _Bool visit(void *ctx, const char *path, const char *text)
{
    size_t *seen = ctx;
    FUZZ_ASSERT(path != NULL && text != NULL);
    return ++*seen < 10000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t seen = 0;
    (void)(xml_read((const char *)data, size, visit, &seen, NULL) == OK);
    return 0;
}
