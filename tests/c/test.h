/* test.h - what every C test includes, in the order that cmocka needs. */
#ifndef TEST_H
#define TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A failing code says its message. */
#define assert_ok(call, err)                                                                                                               \
    do {                                                                                                                                   \
        if ((call) != OK)                                                                                                                  \
            fail_msg("%s: %s", #call, (err).msg);                                                                                          \
    } while (0)
#define assert_has(text, part)                                                                                                             \
    do {                                                                                                                                   \
        if (!strstr((text), (part)))                                                                                                       \
            fail_msg("\"%s\" is not in: %s", (part), (text));                                                                              \
    } while (0)
#define assert_lacks(text, part)                                                                                                           \
    do {                                                                                                                                   \
        if (strstr((text), (part)))                                                                                                        \
            fail_msg("\"%s\" must not be in: %s", (part), (text));                                                                         \
    } while (0)
#endif
