/* Any message: a valid request, or faults with a corrected line that is accepted. */
#include <string.h>

#include "fuzz.h"
#include "job/message.h"

static const struct message_defaults DEFAULTS = {.vm_size = "Standard_D8s_v4",
                                                 .vm_sizes = "Standard_D8s_v4,Standard_D8s_v5",
                                                 .regions = "japaneast",
                                                 .classes = "",
                                                 .epochs = 20,
                                                 .epochs_max = 1000,
                                                 .max_minutes = 480,
                                                 .max_job_minutes = 1440};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m, again;
    if (message_read((const char *)data, size, "id", &DEFAULTS, &m, NULL) != OK)
        return 0;
    if (m.faults > 0) {
        FUZZ_ASSERT(m.corrected[0] != '\0');
        if (message_read(m.corrected, strlen(m.corrected), "id", &DEFAULTS, &again, NULL) == OK)
            FUZZ_ASSERT(again.faults == 0);
        message_done(&again);
    } else
        FUZZ_ASSERT(m.action != ACTION_NONE);
    message_done(&m);
    return 0;
}
