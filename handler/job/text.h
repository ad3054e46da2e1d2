/* text.h - what the message parser needs to know about characters, and how input is shown to people. Pure. All texts are valid UTF-8. */
#ifndef TEXT_H
#define TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ECHO_CHARACTERS 80
#define ECHO_MAX 200 /* bytes with the NUL, in sentences */

/* The character at p and its length in bytes; 0 at the end. */
size_t text_next(const char *p, uint32_t *character);
size_t text_characters(const char *text);
bool text_is_control(uint32_t character); /* C0 (NUL, tab and line ends too), DEL, C1, line and paragraph separators */
bool text_has_control(const char *text);
void text_blank_controls(char *text); /* each becomes blanks, in place */
/* The length of a blank at p: space, tab, line end, ideographic space, BOM; else 0. */
size_t text_blank(const char *p);
/* Cuts blanks off both ends, in place; returns the new start. */
char *text_trim(char *text);

/* The first full-width character (U+FF01..U+FF5E, U+3000) and its place in characters from 1; 0 when there is none. */
size_t text_find_full(const char *text, uint32_t *character);
/* Full-width characters become ASCII, in place; digits only or all. True if there were any. */
bool text_fold(char *text, bool digits_only);

/* text for a sentence: at most 80 characters ("..." after a cut), control characters blank, values of keys, signatures and passwords as
 * ***. */
void text_echo(const char *text, char *out, size_t size);
void text_mask(const char *text, char *out, size_t size); /* the same, as long as out has room */
bool text_has_secret(const char *text);
/* How many letters must change to make one of the other, case ignored. */
int text_distance(const char *a, const char *b);
#endif
