/* tell.h - the two channels to people: Slack, and text files on the shares that annotators see. Being down, they never block or repeat a
 * job. */
#ifndef TELL_H
#define TELL_H
#include "controller/controller.h"

/* Tells what is due and not told yet; seen->told gets the bit of each that was delivered (or that has no channel: no Slack URL, no valid
 * zip name). */
void tell_due(const struct errand *e, struct record *rec, struct job_seen *seen);
/* One try, then the log. False: there is a Slack, and it did not take it. */
bool tell_once(const struct controller *c, const char *text);
/* Words about a message whose job nobody knows: to Slack, to train/<zip>.RESULT.txt (zip "": nowhere) and to the log, one try each. False:
 * neither took them, though there is a Slack. */
bool tell_lost(const struct controller *c, const char *zip, const char *text);
/* Once when Azure has refused to let the app sign in, until it has let it in again. */
void tell_sign_in(struct controller *c);
/* logs/status.txt, one try. */
void tell_status_file(const struct controller *c, const char *text);
#endif
