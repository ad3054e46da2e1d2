/* zipname.h - what a dataset's file name must look like, what is wrong with one that does not, and the name that was probably meant. Pure.
 */
#ifndef ZIPNAME_H
#define ZIPNAME_H
#include "job/request.h"

#define ZIP_EXAMPLE "mydata.zip"
#define ZIP_FORBIDDEN "\"\\/:<>*?|$;&'`" /* Azure Files forbids the first nine */

bool zipname_valid(const char *name);
struct zipname_fault {
    const char *code;    /* E02, E03, E04, E13 */
    char text[320];      /* what is wrong, with what came */
    char meant[ZIP_MAX]; /* a valid name */
};
/* name is not valid. */
void zipname_judge(const char *name, struct zipname_fault *out);
#endif
