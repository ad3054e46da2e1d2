/* decode.h - from the bytes of a queue message to one text: blanks and BOM cut off, JSON string literals and outer quotes undone, base64
 * undone once. Pure. */
#ifndef DECODE_H
#define DECODE_H
#include "base/str.h"

#define MESSAGE_BYTES_MAX (48 * 1024)

enum decoded { DECODED_JSON, DECODED_COLON, DECODED_EMPTY, DECODED_LONG, DECODED_NOT_TEXT, DECODED_UNKNOWN };
/* text gets the text, NUL bytes in it as U+0001 (both are control characters). Empty for DECODED_LONG and DECODED_NOT_TEXT. */
enum decoded decode_message(const char *bytes, size_t len, struct str *text);
#endif
