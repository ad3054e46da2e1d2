/* A storm of damaged messages: never a crash, always a request or a fault whose corrected line is accepted. */
#include "test.h"

#include "base/crypto.h"
#include "message_cases.h"

static int times = 20000;
static uint32_t seed = 20260101;
static uint32_t next_random(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static size_t mutate(char *text, size_t len, size_t size)
{
    static const char *const piece[] = {":",  "：", "，", ",",    "\"", "{", "}", "\\",      ".zip", "://", "..",       "\xff",
                                        "１", "\n", "$",  "null", "[",  "]", " ", "nothing", "?",    "/",   "\xe3\x80", "auto"};
    for (uint32_t left = 1 + next_random(4); left > 0; left--) {
        size_t at = len ? next_random((uint32_t)len + 1) : 0;
        const char *add = piece[next_random(sizeof piece / sizeof *piece)];
        size_t n = strlen(add);
        switch (next_random(4)) {
        case 0:
            if (len + n < size) {
                memmove(text + at + n, text + at, len - at);
                memcpy(text + at, add, n);
                len += n;
            }
            break;
        case 1:
            if (at < len) {
                memmove(text + at, text + at + 1, len - at - 1);
                len--;
            }
            break;
        case 2:
            if (at < len)
                text[at] = (char)next_random(256);
            break;
        default:
            if (next_random(8) == 0)
                len = at;
        }
    }
    return len;
}

static void test_storm(void **state)
{
    (void)state;
    const size_t goods = sizeof good / sizeof *good, all = goods + sizeof bad / sizeof *bad;
    int accepted = 0;
    for (int i = 0; i < times; i++) {
        size_t pick = next_random((uint32_t)all);
        char text[1024];
        str_copy(text, sizeof text, pick < goods ? good[pick].input : bad[pick - goods].input);
        size_t len = mutate(text, strlen(text), sizeof text - 1);
        AUTO_STR coded = STR_MAX(4096);
        if (next_random(5) == 0)
            base64_encode(&coded, text, len);
        char *exact = malloc((coded.len ? coded.len : len) + 1); /* so that a read beyond the end is seen */
        assert_non_null(exact);
        memcpy(exact, coded.len ? coded.p : text, coded.len ? coded.len : len);
        struct message m;
        read_bytes(exact, coded.len ? coded.len : len, &m);
        text[len] = '\0';
        check_always(text, &m);
        accepted += m.faults == 0;
        message_done(&m);
        free(exact);
    }
    assert_in_range(accepted, times / 40, times * 3 / 4);
}

int main(int argc, char **argv)
{
    times = argc > 1 ? (int)strtol(argv[1], NULL, 10) : times;
    seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : seed;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
