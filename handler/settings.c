#include "settings_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job/models.h"
#include "job/money.h"

static const struct settings_row ROWS[] = {
    {"AzureWebJobsStorage", "", "connection string (with account key) of the storage account that has the queues, containers and shares"},
    {"TRAIN_VM_RESOURCE_GROUP", "", "how the names of the resource groups begin that are made for machines (at most 39 characters)"},
    {"AZURE_SP_APP_ID", "",
     "the service principal that makes and deletes machines; AZURE_CLIENT_ID is the same. All three left out: the managed identity of the "
     "app, or of the VM it runs on, does, and AZURE_CLIENT_ID names it if it is user-assigned"},
    {"AZURE_SP_PASSWORD", "", "its secret; AZURE_CLIENT_SECRET is the same"},
    {"AZURE_SP_TENANT", "", "its tenant; AZURE_TENANT_ID is the same"},
    {"AZURE_SUBSCRIPTION_ID", "", "where machines are made; left out: the only subscription the identity sees"},
    {"AZURE_LOCATION", "japaneast", "region of the machines; with REGIONS it must be their first, or be left out"},
    {"REGIONS", "",
     "regions, separated by commas (at most 5), that are tried in this order when the message names none; left out: only AZURE_LOCATION"},
    {"VM_SIZE", "Standard_D8s_v4", "size of a machine when the message names none; with VM_SIZES it must be their first, or be left out"},
    {"VM_SIZES", "",
     "sizes that messages may name, separated by commas; the first 5 are tried in this order when the message names none; left out: only "
     "VM_SIZE"},
    {"SPOT", "never", "whether machines are Azure Spot (cheaper, may be taken away) when the message does not say: never, prefer, only"},
    {"CLASSES", "", "class names, separated by commas, when the message names none; left out: read from the zip"},
    {"EPOCHS", "20", "epochs when the message names none"},
    {"EPOCHS_MAX", "1000", "most epochs that a message may ask for"},
    {"MAX_JOBS", "2", "machines at the same time"},
    {"MAX_HOURS", "8", "hours a job may take when the message names none"},
    {"MAX_JOB_HOURS", "24", "most hours a message may ask for (0.5 to 48)"},
    {"MAX_JOB_COST", "", "most US dollars that a job may cost, such as 20 or 12.50; left out: no limit"},
    {"WAIT_FOR_UPLOAD", "5", "minutes that a message waits for its zip"},
    {"SLACK_URL", "", "incoming webhook; left out: nobody is told by Slack"},
    {"TRAINER", "getitune", "program that trains: getitune, or tiny (a small network for simple pictures; no instance segmentation)"},
    {"LEGACY_ROOT", "keep",
     "what becomes of model/model.bin and model/model.xml, where devices of the former system look, when a version of line default has "
     "other inputs or outputs than they have: keep leaves them, replace renews them"},
    {"TRAIN_IMAGE_ID", "",
     "resource id of an image made with vm-scripts/image/prepare, such as /subscriptions/.../images/trainer; left out: Ubuntu 24.04 LTS"},
    {"AZURE_STORAGE_CONNECTION_STRING", "", "the same account as AzureWebJobsStorage, under its former name"},
    {"AZURE_STORAGE_ACCOUNT_NAME", "", "the same account, under its former name"},
    {"AZURE_STORAGE_ACCOUNT_KEY", "", "its key, under its former name"},
    {"VM_STORAGE_HOST", "", "only with a storage emulator on this machine: the address at which machines reach it, such as 10.0.2.2"},
    {"AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com", "sign-in of a sovereign cloud"},
    {"AZURE_ARM_ENDPOINT", "https://management.azure.com", "Resource Manager of a sovereign cloud"},
    {"AZURE_IMDS_ENDPOINT", IMDS_ENDPOINT, "where a VM's managed identity is asked; another one only for tests, on this machine"},
    {"IDENTITY_ENDPOINT", "", "where an app's managed identity is asked: set by the platform once the app has one, never by hand"},
    {"IDENTITY_HEADER", "", "the secret that goes there: set by the platform too"},
    {"AZURE_PRICES_ENDPOINT", "https://prices.azure.com", "Azure's public price list"},
};
static const struct {
    const char *name, *answer;
} REPLACED[] = {
    {"ACI_RESOURCE_GROUP", "no container is started any more; it can be removed"},
    {"ACI_CONTAINER_NAME", "no container is started any more; it can be removed"},
    {"ACI_IMAGE", "no container is started any more; it can be removed"},
    {"GITHUB_REPO_URL", "scripts come with the app, not from a repository; it can be removed"},
    {"CUSTOM_SCRIPT_URL", "scripts come with the app, not from a repository; it can be removed"},
};

const struct settings_row *settings_rows(size_t *count)
{
    *count = sizeof ROWS / sizeof *ROWS;
    return ROWS;
}

static double number(const struct reader *r, const char *name, double least, double most)
{
    const char *value = get(r, name);
    char *end = NULL;

    errno = 0;
    double n = strtod(value, &end);
    if (errno != 0 || end == value || *end != '\0' || !(n >= least && n <= most)) {
        str_addf(r->faults, "%s: a number from %g to %g is needed\n", name, least, most);
        return least;
    }
    return n;
}

static int32_t whole(const struct reader *r, const char *name, int32_t least, int32_t most)
{
    double n = number(r, name, least, most);

    if (n != (double)(int32_t)n)
        fault(r, name, "a whole number is needed");
    return (int32_t)n;
}

static void read_storage(const struct reader *r, struct settings *s)
{
    struct err err = {0};
    const char *main_string = either(r, "AzureWebJobsStorage", "AZURE_STORAGE_CONNECTION_STRING");
    const char *other = r->lookup("AZURE_STORAGE_CONNECTION_STRING"), *name = get(r, "AZURE_STORAGE_ACCOUNT_NAME"),
               *key = get(r, "AZURE_STORAGE_ACCOUNT_KEY");
    AUTO_STR built = STR_MAX(1024);

    if (*main_string == '\0' && *name != '\0' && *key != '\0') {
        str_addf(&built, "DefaultEndpointsProtocol=https;AccountName=%s;AccountKey=%s;EndpointSuffix=core.windows.net", name, key);
        main_string = str_c(&built) != NULL ? str_c(&built) : "";
    }
    if (storage_parse(main_string, &s->storage, &err) != OK) {
        fault(r, "AzureWebJobsStorage", *main_string == '\0' ? "is not set" : err.msg);
        return;
    }
    if (s->storage.blob[0] == '\0' || s->storage.queue[0] == '\0' || s->storage.file[0] == '\0')
        fault(r, "AzureWebJobsStorage",
              "endpoints for blobs, queues and files are all needed (add FileEndpoint=... where the account has none of its own)");
    if (other != NULL && *other != '\0' && other != main_string) {
        struct storage second = {0};
        if (storage_parse(other, &second, &err) != OK)
            fault(r, "AZURE_STORAGE_CONNECTION_STRING", err.msg);
        else if (!str_is(second.account, s->storage.account))
            fault(r, "AZURE_STORAGE_CONNECTION_STRING", "names another account than AzureWebJobsStorage; all must be one");
        storage_done(&second);
    }
    if (*name != '\0' && !str_is(name, s->storage.account))
        fault(r, "AZURE_STORAGE_ACCOUNT_NAME", "names another account than AzureWebJobsStorage; all must be one");
}

/* A grant must not go over the network in the clear: only an emulator, which the app itself reaches without leaving its machine, may have
 * another address for machines. */
static void read_storage_host(const struct reader *r, struct settings *s)
{
    static const char RULE[] = "an address such as 10.0.2.2 is needed, and a storage account whose endpoints are http on this machine";
    const char *host = get(r, "VM_STORAGE_HOST");

    text(r, "VM_STORAGE_HOST", host, NAME_CHARACTERS ".", s->vm_storage_host, sizeof s->vm_storage_host, RULE);
    if (*host != '\0' && !str_starts(s->storage.blob, "http://"))
        fault(r, "VM_STORAGE_HOST", RULE);
}

/* The next name of a comma list, without the blanks around it; "" when it is too long for one. False at the end. */
static bool next_name(const char **list, char name[PLACE_MAX])
{
    if (**list == '\0')
        return false;
    size_t len = strcspn(*list, ","), start = strspn(*list, " "), end = len;
    while (end > start && (*list)[end - 1] == ' ')
        end--;
    name[0] = '\0';
    if (end > start && end - start < PLACE_MAX)
        str_copy(name, end - start + 1, *list + start);
    *list += len + ((*list)[len] == ',' ? 1 : 0);
    return true;
}

static bool good_size(const char *name, char plain[PLACE_MAX])
{
    str_copy(plain, PLACE_MAX, name);
    return str_starts(name, "Standard_") && strlen(name) > strlen("Standard_") && strspn(name, NAME_CHARACTERS) == strlen(name);
}

static bool good_region(const char *name, char plain[PLACE_MAX])
{
    return region_plain(name, plain, REGION_MAX);
}

/* Writes the list as it is used, without blanks, into `to`, and its first name into `first`. rule: what is needed, in words. */
static void read_list(const struct reader *r, const char *name, bool (*good)(const char *, char *), char *to, size_t size, char *first,
                      const char *rule)
{
    AUTO_STR whole_list = STR_MAX(size - 1);
    char one[PLACE_MAX], plain[PLACE_MAX];

    for (const char *list = get(r, name); next_name(&list, one);) {
        bool fits = good(one, plain);
        for (const char *others = str_c(&whole_list); fits && others != NULL && next_name(&others, one);)
            fits = !str_is_nocase(one, plain);
        if (!fits) {
            fault(r, name, rule);
            return;
        }
        if (whole_list.len == 0)
            str_copy(first, PLACE_MAX, plain);
        str_addf(&whole_list, "%s%s", whole_list.len > 0 ? "," : "", plain);
    }
    if (whole_list.failed)
        fault(r, name, "is too long");
    else
        str_copy(to, size, str_c(&whole_list));
}

/* The setting for one is the former form of the one for several: with both, it is the first of them. */
static void read_one(const struct reader *r, const char *name, const char *several, bool (*good)(const char *, char *), const char *first,
                     char *to, size_t size, const char *rule)
{
    const char *given = r->lookup(name);
    char plain[PLACE_MAX];

    if (*first != '\0' && (given == NULL || *given == '\0')) {
        str_copy(to, size, first);
        return;
    }
    if (strlen(get(r, name)) >= PLACE_MAX || !good(get(r, name), plain))
        fault(r, name, rule);
    else if (*first != '\0' && !str_is_nocase(first, plain))
        str_addf(r->faults, "%s: must be the first of %s, or be left out\n", name, several);
    else
        str_copy(to, size, plain);
}

static void read_sizes(const struct reader *r, struct settings *s)
{
    char first[PLACE_MAX] = "";

    read_list(r, "VM_SIZES", good_size, s->vm_sizes, sizeof s->vm_sizes, first,
              "different sizes such as Standard_D8s_v4,Standard_D8s_v5 are needed");
    read_one(r, "VM_SIZE", "VM_SIZES", good_size, first, s->vm_size, sizeof s->vm_size, "a size such as Standard_D8s_v4 is needed");
}

#define REGIONS_RULE "at most 5 different regions such as japaneast,japanwest are needed"

static void read_regions(const struct reader *r, struct settings *s)
{
    char first[PLACE_MAX] = "";
    size_t commas = 0;

    read_list(r, "REGIONS", good_region, s->regions, sizeof s->regions, first, REGIONS_RULE);
    read_one(r, "AZURE_LOCATION", "REGIONS", good_region, first, s->location, sizeof s->location, "a region such as japaneast is needed");
    for (const char *p = s->regions; (p = strchr(p, ',')) != NULL; p++)
        commas++;
    if (commas >= PLACES_MAX)
        fault(r, "REGIONS", REGIONS_RULE);
    if (s->regions[0] == '\0')
        str_copy(s->regions, sizeof s->regions, s->location);
}

static void read_machines(const struct reader *r, struct settings *s)
{
    static const char IMAGE_RULE[] = "the resource id of an image is needed, which begins with /subscriptions/";
    const char *prefix = get(r, "TRAIN_VM_RESOURCE_GROUP"), *image = get(r, "TRAIN_IMAGE_ID");

    if (*prefix == '\0')
        fault(r, "TRAIN_VM_RESOURCE_GROUP", "is not set");
    text(r, "TRAIN_VM_RESOURCE_GROUP", prefix, NAME_CHARACTERS, s->group_prefix, sizeof s->group_prefix,
         "letters, digits, - and _ only, at most 39");
    text(r, "AZURE_SUBSCRIPTION_ID", get(r, "AZURE_SUBSCRIPTION_ID"), NAME_CHARACTERS, s->subscription, sizeof s->subscription,
         "an id such as 00000000-0000-0000-0000-000000000000 is needed");
    read_sizes(r, s);
    read_regions(r, s);
    text(r, "TRAIN_IMAGE_ID", image, NAME_CHARACTERS "/.", s->image_id, sizeof s->image_id, IMAGE_RULE);
    if (*image != '\0' && !str_starts(image, "/subscriptions/"))
        fault(r, "TRAIN_IMAGE_ID", IMAGE_RULE);
    if (!spot_parse(get(r, "SPOT"), &s->spot))
        fault(r, "SPOT", "one of never, prefer, only is needed");
}

static void read_limits(const struct reader *r, struct settings *s)
{
    s->epochs_max = whole(r, "EPOCHS_MAX", 1, 100000);
    s->epochs = whole(r, "EPOCHS", 1, s->epochs_max);
    s->max_jobs = whole(r, "MAX_JOBS", 1, 100);
    s->max_job_minutes = (int32_t)(number(r, "MAX_JOB_HOURS", 0.5, 48) * 60);
    s->max_minutes = (int32_t)(number(r, "MAX_HOURS", 0.5, 48) * 60);
    if (s->max_minutes > s->max_job_minutes)
        fault(r, "MAX_HOURS", "must not be above MAX_JOB_HOURS");
    const char *cost = get(r, "MAX_JOB_COST");
    if (*cost != '\0' && !money_parse(cost, &s->max_job_micro_usd))
        fault(r, "MAX_JOB_COST", "US dollars such as 20 or 12.50 are needed");
    s->upload_wait_s = (int32_t)(number(r, "WAIT_FOR_UPLOAD", 1, 24.0 * 60) * 60);
}

static void read_rest(const struct reader *r, struct settings *s)
{
    const char *slack = get(r, "SLACK_URL"), *classes = get(r, "CLASSES"), *trainer = get(r, "TRAINER"), *legacy = get(r, "LEGACY_ROOT"),
               *root = r->lookup("FUNCTIONS_APP_ROOT_PATH");

    if (*slack != '\0' && (!http_url_safe(slack) || secret_set(&s->slack_url, slack, strlen(slack), NULL) != OK))
        fault(r, "SLACK_URL", "an https address is needed");
    if (strlen(classes) >= sizeof s->classes)
        fault(r, "CLASSES", "is too long");
    str_copy(s->classes, sizeof s->classes, classes);
    if (!models_is_trainer(trainer))
        fault(r, "TRAINER", "one of " TRAINERS " is needed");
    str_copy(s->trainer, sizeof s->trainer, trainer);
    s->legacy_replace = str_is(legacy, "replace");
    if (!s->legacy_replace && !str_is(legacy, "keep"))
        fault(r, "LEGACY_ROOT", "one of keep, replace is needed");
    str_copy(s->root, sizeof s->root, root != NULL && *root != '\0' ? root : ".");
}

enum err_code settings_read_port(const char *(*lookup)(const char *name), uint16_t *port, struct str *faults)
{
    struct reader r = {.lookup = lookup, .faults = faults};
    const char *value = lookup("FUNCTIONS_CUSTOMHANDLER_PORT");
    char *end = NULL;
    long n = value != NULL ? strtol(value, &end, 10) : 0;

    if (n < 1 || n > 65535 || *end != '\0') {
        fault(&r, "FUNCTIONS_CUSTOMHANDLER_PORT", "is not set: this program is started by the Azure Functions host");
        return ERR_INPUT;
    }
    *port = (uint16_t)n;
    return OK;
}

enum err_code settings_read(const char *(*lookup)(const char *name), struct settings *s, struct str *faults, struct str *notes)
{
    struct reader r = {.lookup = lookup, .faults = faults};

    *s = (struct settings){0};
    read_storage(&r, s);
    read_storage_host(&r, s);
    settings_read_identity(&r, s);
    read_machines(&r, s);
    read_limits(&r, s);
    read_rest(&r, s);
    for (size_t i = 0; i < sizeof REPLACED / sizeof *REPLACED; i++)
        if (lookup(REPLACED[i].name) != NULL)
            str_addf(notes, "%s is set: %s\n", REPLACED[i].name, REPLACED[i].answer);
    return faults->len == 0 && !faults->failed ? OK : ERR_INPUT;
}

void settings_done(struct settings *s)
{
    storage_done(&s->storage);
    secret_done(&s->identity.client_secret);
    secret_done(&s->identity.header);
    secret_done(&s->slack_url);
}
