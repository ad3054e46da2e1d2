/* remedy.h - what an ARM error asks for, by its innermost code and text, as one table. Pure. */
#ifndef REMEDY_H
#define REMEDY_H
#include "base/error.h"
#include "job/step.h"

/* err of an ARM call that did not succeed: remote is the innermost code. Unknown codes of 4xx answers are final; no answer, 408, 429 and
 * 5xx wait. */
enum job_remedy remedy_of(const struct err *err);
/* What a person can do about it: a sentence, or "" when the error speaks for itself. */
const char *remedy_advice(const struct err *err);
#endif
