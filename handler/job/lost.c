#include "job/lost.h"

void lost_text(const struct lost *l, struct str *to)
{
    if (l->saved)
        str_addf(to, "A message in queue `%s` failed again and again, but nothing is lost: ", l->queue);
    else
        str_addf(to, "A message in queue `%s` failed again and again and was given up: ", l->queue);
    str_addf(to, "`%s` (message Id %s, queue `%s-poison`).", l->shown, l->message_id[0] != '\0' ? l->message_id : "unknown", l->queue);
    str_addf(to, "\nWhy: %s", l->why[0] != '\0' ? l->why : "this stands in the log of the function app, in lines with `error:`");
    if (l->known[0] != '\0')
        str_addf(to, "\n%s", l->known);
    if (l->faults[0] != '\0')
        str_addf(to, "\nIt has mistakes, too:\n%s", l->faults);
    if (l->saved || l->line == NULL)
        return;
    if (l->line[0] != '\0')
        str_addf(to, "\n%s\n%s", l->faults[0] != '\0' ? "Send this instead:" : "To try again, send:", l->line);
    else
        str_add(to, "\nTo try again, put it together once more and send it: it cannot be repeated here.");
}
