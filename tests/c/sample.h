/* sample.h - a record with every field set, for tests. The caller ends it with record_done. */
#ifndef SAMPLE_H
#define SAMPLE_H
#include "job/record.h"

void sample_record(struct record *rec);
#endif
