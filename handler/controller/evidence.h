/* evidence.h - what tells why an attempt failed, kept in share logs before its machine is deleted: the serial console, and one file in
 * words with the reason and the last lines of everything. */
#ifndef EVIDENCE_H
#define EVIDENCE_H
#include "controller/controller.h"

/* One try, at most 60 s in all, and not at all when the invocation would have no time left for the deletion. It cannot fail: what is not
 * found is said in the file. Done twice it writes the same files again, unless the second look had no console left to read: then the first
 * one's file stays. The record gets the file's name and the last lines. */
void evidence_keep(const struct errand *e, struct record *rec);
#endif
