/* Connection strings, as people paste them. */
#include <stdlib.h>
#include <string.h>

#include "azure/storage.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct storage s = {0};
    struct err err = {0};
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (storage_parse(text, &s, &err) != OK)
        FUZZ_ASSERT(err.msg[0] != '\0');
    storage_done(&s);
    free(text);
    return 0;
}
