#include "controller/template.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto.h"

/* Nobody logs in: the private half was thrown away when this key was made. Azure wants a key where passwords are off. */
static const char SSH_KEY[] =
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAABgQC3fm1yeDznLBYjh5rbdoITJWe7hBsQAmnforpkdHTR0nX11SMmZIGQvWRZ2ZGWhkcCTI+HCFV3XAlCifVdWBexzAYzk1gZJvGS6WLf"
    "qqVJepYrQVvZGlrL9Dozg3CK8it6fMuzTtfv4lF1DmNkAM7XgBiquIr/AG2QG6DstgY51YD8x2CDD+DSNqrJVywBGbNlaLxB2wdK8JfY//"
    "X6BvBV9mgDka4+h5Kw2OPwdnAwsFBDVcJQ"
    "LLpkQsE2gkM5E3c0z+oNgXuZf/"
    "SMC4lnDEdNhAIx3Zy0BtkOc7ldzxoo5u54IzNwSnAgVRZJoHkwyjvRRMrXlaf4AHlfyJJrKjx737UCfmL7O7601SACCUhllxrykDJJC7h6TscGX76+"
    "rf5LymW4OnMz1Lkpy3UJv4NhWM7vhap12wtO0e8X5ehNE28CY5fsm7tuDim9ObrATMdEChyPI3T6em/KZ6ujBOlC2Bm43UC60dYWbuaX2Xcha928fEUZlJScFxY9b1MPbDE= "
    "nobody";

static void add_tag(struct arm_group *g, const char *name, const char *value)
{
    str_copy(g->tag[g->tags].name, sizeof g->tag[0].name, name);
    str_copy(g->tag[g->tags].value, sizeof g->tag[0].value, value);
    g->tags++;
}

void template_tags(const struct record *rec, struct arm_group *group)
{
    char attempt[12];

    snprintf(attempt, sizeof attempt, "%d", rec->state.attempt);
    group->tags = 0;
    add_tag(group, "app", "retrain");
    add_tag(group, "owner", rec->owner);
    add_tag(group, "job", rec->job_id);
    add_tag(group, "attempt", attempt);
}

static void put_parameter(struct str *to, const char *name, const char *value)
{
    json_open(to, name, '{');
    json_put_text(to, "value", value);
    json_close(to, '}');
}

static void put_tags(struct str *to, const struct record *rec)
{
    struct arm_group g = {0};

    template_tags(rec, &g);
    json_open(to, "tags", '{');
    json_open(to, "value", '{');
    for (size_t i = 0; i < g.tags; i++)
        json_put_text(to, g.tag[i].name, g.tag[i].value);
    json_close(to, '}');
    json_close(to, '}');
}

/* Left out, the template's own default holds. */
static void put_image(struct str *to, const char *image_id)
{
    if (*image_id == '\0')
        return;
    json_open(to, "image", '{');
    json_open(to, "value", '{');
    json_put_text(to, "id", image_id);
    json_close(to, '}');
    json_close(to, '}');
}

enum err_code template_body(const struct controller *c, const struct record *rec, const struct str *custom_data, struct str *to,
                            struct err *err)
{
    AUTO_JSON template = NULL;
    AUTO_STR encoded = STR_MAX(96 * 1024);
    enum err_code code = json_parse(template_json, strlen(template_json), 16, &template, err);

    if (code != OK)
        return err_context(err, "template.json");
    base64_encode(&encoded, custom_data->p, custom_data->len);
    code = str_check(&encoded, "customData", err);
    if (code != OK)
        return code;
    json_open(to, NULL, '{');
    json_open(to, "properties", '{');
    json_put_text(to, "mode", "Incremental");
    json_put_value(to, "template", template);
    json_open(to, "parameters", '{');
    put_parameter(to, "location", record_region(rec));
    put_parameter(to, "vmSize", record_size(rec));
    put_parameter(to, "priority", job_on_spot(&rec->terms, &rec->state) ? "Spot" : "Regular");
    put_tags(to, rec);
    put_image(to, c->image_id);
    put_parameter(to, "sshPublicKey", SSH_KEY);
    put_parameter(to, "customData", str_c(&encoded));
    json_close(to, '}');
    json_close(to, '}');
    json_close(to, '}');
    return str_check(to, "deployment body", err);
}
