#include "test.h"

#include "golden.h"

static void close_file(FILE **f)
{
    if (*f != NULL)
        fclose(*f);
}

static void put(const char *path, const struct str *text)
{
    __attribute__((cleanup(close_file))) FILE *f = fopen(path, "wbe");
    assert_non_null(f);
    assert_int_equal(fwrite(text->p, 1, text->len, f), text->len);
}

void golden_read(const char *file, struct str *text)
{
    AUTO_STR path = STR_MAX(4096);
    char piece[4096];
    size_t n;

    str_addf(&path, "%s/%s", TEST_GOLDEN, file);
    __attribute__((cleanup(close_file))) FILE *f = fopen(str_c(&path), "rbe");
    if (f == NULL)
        fail_msg("%s is missing: UPDATE_GOLDEN=1 writes it", file);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        str_add_n(text, piece, n);
}

void golden_same(const char *file, const struct str *text)
{
    AUTO_STR path = STR_MAX(4096), kept = STR_MAX(1024 * 1024);

    assert_non_null(str_c(text));
    str_addf(&path, "%s/%s", TEST_GOLDEN, file);
    if (getenv("UPDATE_GOLDEN") != NULL)
        put(str_c(&path), text);
    golden_read(file, &kept);
    assert_string_equal(str_c(text), str_c(&kept));
}
