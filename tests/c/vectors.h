/* vectors.h - tests/vectors as parsed JSON. */
#ifndef VECTORS_H
#define VECTORS_H
#include "base/json.h"

struct json *vectors_load(const char *file); /* fails the test when it cannot be read; json_free it */
#endif
