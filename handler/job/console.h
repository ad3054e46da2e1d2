/* console.h - what a machine printed, made fit for people: lines of plain text without secrets, and the last few of them. Pure. */
#ifndef CONSOLE_H
#define CONSOLE_H
#include <stdbool.h>

#include "base/str.h"

#define CONSOLE_LINE_MAX 1000

/* Escape sequences and control characters go, what is not UTF-8 becomes `?`, long lines are cut, values of keys and signatures become ***.
 * Every line ends with a newline. cut: the first line is half of one, and left out. */
void console_clean(const char *bytes, size_t len, bool cut, struct str *to);
/* The last lines of a text, empty ones not counted; at most `lines`, and no more than size takes, each cut at 300 bytes. */
void console_last(const char *text, int lines, char *out, size_t size);
#endif
