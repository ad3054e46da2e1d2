/* retry.c - a job's request as a train message once more (job/message.h). */
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "job/decode.h"
#include "job/message.h"
#include "job/suggest.h"

#define KEPT 56 /* of the id: with "-r" and 6 hex it is as long as an id may be */

void message_retry_job_id(const char *job_id, const char *message_id, char out[JOB_ID_MAX])
{
    char hex[SHA256_HEX] = "000000";
    (void)sha256_of(message_id, strlen(message_id), hex);
    snprintf(out, JOB_ID_MAX, "%.*s-r%.6s", KEPT, job_id, hex);
}

/* The request goes through the same checks as when it was sent: what the settings allow may have changed since. The classes need none, and
 * a request without any still has its classes read from the zip. */
enum err_code message_from_request(struct message *m, const struct request *r, const char *job_name, const char *message_id,
                                   struct err *err)
{
    const struct message_defaults *defaults = m->defaults;
    struct request again = *r; /* borrows the classes */
    AUTO_STR line = STR_MAX(MESSAGE_BYTES_MAX);
    char shown[sizeof m->shown];

    str_copy(again.job_name, sizeof again.job_name, job_name);
    again.job_id_given = true;
    again.classes_count = 0;
    message_line(&again, NULL, &line);
    enum err_code code = str_check(&line, "a request", err);
    if (code != OK)
        return code;
    str_copy(shown, sizeof shown, m->shown);
    message_done(m);
    code = message_read(line.p, line.len, message_id, defaults, m, err);
    str_copy(m->shown, sizeof m->shown, shown);
    if (code != OK)
        return code;
    again = m->request;
    again.classes = r->classes; /* borrowed for the copy */
    again.classes_count = r->classes_count;
    request_done(&m->request);
    if (!request_copy(&m->request, &again))
        return err_set(err, ERR_MEMORY, "no memory for the classes of a request");
    if (m->faults > 0)
        suggest_line(m);
    return OK;
}
