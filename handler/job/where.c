/* where.c - the machine that a message asks for: sizes, regions, spot (job/checks.h). */
#include <string.h>
#include <strings.h>

#include "job/checks.h"
#include "job/text.h"

static const char *allowed_sizes(const struct reading *r)
{
    const char *list = r->defaults->vm_sizes && *r->defaults->vm_sizes ? r->defaults->vm_sizes : r->defaults->vm_size;
    return list ? list : "";
}

void check_default_sizes(struct reading *r)
{
    places_split(&r->m->request.vm_sizes, allowed_sizes(r));
}

void check_default_regions(struct reading *r)
{
    places_split(&r->m->request.regions, r->defaults->regions);
}

static const char *without_family(const char *size)
{
    return strncasecmp(size, "Standard_", strlen("Standard_")) == 0 ? size + strlen("Standard_") : size;
}

void check_vm_size(struct reading *r, enum rule_id id, const char *text)
{
    const char *list = allowed_sizes(r);
    char size[PLACE_MAX], nearest[PLACE_MAX] = "", shown[ECHO_MAX];
    int best = 1000;
    for (const char *p = list; places_next(&p, size);) {
        int far = str_is_nocase(size, text) ? -1 : text_distance(without_family(size), without_family(text));
        if (far < best) {
            best = far;
            str_copy(nearest, sizeof nearest, size);
        }
    }
    if (best >= 0) {
        text_echo(text, shown, sizeof shown);
        rules_fault(r, id, "E05", "`%s` is not allowed here; nearest allowed: `%s`; allowed: %.150s", shown, nearest, list);
    }
    if (id == RULE_VM_SIZE) /* the only one */
        r->m->request.vm_sizes.count = 0;
    (void)places_add(&r->m->request.vm_sizes, nearest); /* what is meant may be there already */
}

void check_region(struct reading *r, enum rule_id id, const char *text)
{
    char plain[REGION_MAX], shown[ECHO_MAX];
    if (!region_plain(text, plain, sizeof plain)) {
        text_echo(text, shown, sizeof shown);
        rules_fault(r, id, "E25", "`%s` is not a region's name; allowed: %s; e.g. `japaneast`", shown, rules_field(id)->allowed);
        return;
    }
    if (!str_is(text, plain)) { /* as the portal shows it: `Japan East` */
        text_echo(text, shown, sizeof shown);
        rules_fault(r, id, "E25", "`%s` is written `%s`; allowed: %s", shown, plain, rules_field(id)->allowed);
    }
    (void)places_add(&r->m->request.regions, plain);
}

void check_spot(struct reading *r, enum rule_id id, const char *text)
{
    char shown[ECHO_MAX];
    if (spot_parse(text, &r->m->request.spot))
        return;
    for (enum job_spot s = SPOT_NEVER; s <= SPOT_ONLY; s++)
        if (text_distance(text, spot_name(s)) <= MISSPELT)
            r->m->request.spot = s; /* for the corrected line */
    text_echo(text, shown, sizeof shown);
    rules_fault(r, id, "E26", "`%s` is not known; allowed: %s", shown, rules_field(id)->allowed);
}
