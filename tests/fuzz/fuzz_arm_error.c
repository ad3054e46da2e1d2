/* Error bodies of Resource Manager: nested, JSON within strings, HTML, anything. */
#include <string.h>

#include "azure/arm.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arm_error e = {0};
    arm_error_read((const char *)data, size, &e);
    FUZZ_ASSERT(memchr(e.code, '\0', sizeof e.code) != NULL && strchr(e.message, '\n') == NULL);
    return 0;
}
