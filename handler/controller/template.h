/* template.h - the body of the one deployment of an attempt: a constant template (template.json, names literal) and its parameters. */
#ifndef TEMPLATE_H
#define TEMPLATE_H
#include "controller/controller.h"

extern const char template_json[]; /* made from template.json when the program is built */

/* Appends {"properties":{"mode":"Incremental","template":...,"parameters":...}}. custom_data is the plain text of the cloud-config; it goes
 * in as base64, securestring. */
enum err_code template_body(const struct controller *c, const struct record *rec, const struct str *custom_data, struct str *to,
                            struct err *err) MUST_CHECK;
/* The tags of the group and of everything in it. */
void template_tags(const struct record *rec, struct arm_group *group);
#endif
