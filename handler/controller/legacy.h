/* legacy.h - model/model.bin and model/model.xml, where devices of the former system look. They belong to line `default`.
 *
 * Those devices read another kind of model than this system publishes, and know nothing of versions: what they have is never exchanged for
 * something that they may not read, unless LEGACY_ROOT says so. */
#ifndef LEGACY_H
#define LEGACY_H
#include "controller/controller.h"

/* Written when absent; renewed when they are copies of a version whose io block is that of the new one; otherwise left, and
 * rec->legacy_note says so. An error asks for another try; after publish_wait_s there is none, and that is noted too. */
enum err_code legacy_renew(const struct errand *e, struct record *rec, struct err *err) MUST_CHECK;
#endif
