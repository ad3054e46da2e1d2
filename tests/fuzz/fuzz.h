/* fuzz.h - what a fuzz target is: one function that takes any bytes. Built twice: with libFuzzer (`make fuzz`), and with replay.c into the
 * C tests, which runs every kept input. */
#ifndef FUZZ_H
#define FUZZ_H
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process: an invariant does not hold. */
#define FUZZ_ASSERT(condition)                                                                                                             \
    do {                                                                                                                                   \
        if (!(condition))                                                                                                                  \
            __builtin_trap();                                                                                                              \
    } while (0)
#endif
