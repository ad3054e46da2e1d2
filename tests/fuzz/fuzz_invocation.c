/* The host's POST, both ways of encoding data. */
#include "fuzz.h"
#include "server/invocation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int binary = 0; binary < 2; binary++) {
        struct invocation inv = {0};
        if (invocation_parse((const char *)data, size, "message", binary, &inv, NULL) == OK)
            FUZZ_ASSERT(inv.text.len == 0 || inv.text.p != NULL);
        invocation_done(&inv);
    }
    return 0;
}
