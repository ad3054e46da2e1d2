/* notice.h - every text that people read about a job, made from its record. Pure; golden files in tests/golden hold them. */
#ifndef NOTICE_H
#define NOTICE_H
#include "job/message.h"
#include "job/record.h"

#define NOTICE_MAX 6000

/* NOTICE_ACCEPTED, NOTICE_STARTED, NOTICE_RESULT or NOTICE_STUCK for Slack; NOTICE_RESULT_FILE for train/<zip>.RESULT.txt. */
void notice_text(const struct record *rec, enum job_notice notice, struct str *to);
/* One line about where a job stands now. */
void notice_status(const struct record *rec, int64_t now_s, struct str *to);
/* The same data under the same job_id again, asked for as it is in asked: no new run. */
void notice_repeated(const struct record *rec, const struct request *asked, int64_t now_s, struct str *to);
/* Azure does not let the app in: why, in Azure's words. */
void notice_sign_in(const char *why, struct str *to);
/* Why the present attempt, or the job, ended. */
void notice_reason(const struct record *rec, struct str *to);
/* The faults of a refused message, one a line. */
void notice_faults(const struct message *m, struct str *to);
#endif
