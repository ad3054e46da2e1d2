#include "vectors.h"

#include "test.h"

struct json *vectors_load(const char *file)
{
    AUTO_STR path = STR_MAX(1024);
    AUTO_STR text = STR_MAX(4u * 1024 * 1024);
    struct json *root = NULL;
    struct err err = {0};
    char piece[4096];
    size_t len;
    str_addf(&path, "%s/%s", TEST_VECTORS, file);
    FILE *in = fopen(str_c(&path), "rb");
    if (!in)
        fail_msg("cannot open %s", str_c(&path));
    while ((len = fread(piece, 1, sizeof piece, in)) > 0)
        str_add_n(&text, piece, len);
    (void)fclose(in);
    if (json_parse(str_c(&text), text.len, 64, &root, &err))
        fail_msg("%s: %s", file, err.msg);
    return root;
}
