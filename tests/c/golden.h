/* golden.h - texts that people read, kept in tests/golden: a changed sentence shows in the diff. UPDATE_GOLDEN=1 writes them anew. */
#ifndef GOLDEN_H
#define GOLDEN_H
#include "base/str.h"

/* A kept file as it is; *text's max must have room for it. */
void golden_read(const char *file, struct str *text);
void golden_same(const char *file, const struct str *text);
#endif
