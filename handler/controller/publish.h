/* publish.h - a model's way from out/<job>/<attempt>/ to model/<line>/<version>/ and the pointer. Each step is done once, however often it
 * is tried. */
#ifndef PUBLISH_H
#define PUBLISH_H
#include "controller/controller.h"

/* Every file against the manifest: size and sha256, streamed; the ETag that was verified goes into the record. seen->model: VERIFIED,
 * BROKEN, or nothing when storage did not answer. */
void publish_verify(const struct errand *e, struct record *rec, struct job_seen *seen);
/* The gate, and the line if it lets the model through: seen->line YES with the version; NO while another job publishes there. seen->model
 * KEPT (seen->kept says why) without touching the line when the gate says no or the line carries another task; BROKEN when the manifest is
 * no longer what it was. */
void publish_take_line(const struct errand *e, struct record *rec, struct job_seen *seen);
/* Server-side, at the verified ETags: model.bin, model.xml, the rest, the manifest last. seen->model: COPIED, BROKEN (a source changed), or
 * nothing (try again). */
void publish_copy(const struct errand *e, struct record *rec, struct job_seen *seen);
/* model/<line>/current.json by ETag; a newer version is never overwritten. seen->model CURRENT. */
void publish_point(const struct errand *e, struct record *rec, struct job_seen *seen);
/* seen->line NO once it is given back. */
void publish_free_line(const struct errand *e, struct record *rec, struct job_seen *seen);
#endif
