/* main.c - wiring: the only place that builds objects. The Functions host starts this program, talks HTTP to it on loopback, and kills it
 * without warning. With `--check` a person starts it. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "check.h"
#include "functions/functions.h"
#include "http/curl.h"
#include "server/server.h"
#include "settings.h"

#define BUDGET_MS (120 * 1000) /* of one invocation; functionTimeout in host.json is 5 min */
#define DRAIN_MS (20 * 1000)
#define ORPHANED SIGUSR1

static const struct server_function FUNCTIONS[] = {
    {"js-queue-items", "message", true, js_queue_items},
    {"delete-resources", "message", true, delete_resources},
    {"job-watch", NULL, false, job_watch},
    {"js-queue-items-poison", "message", true, js_queue_items_poison},
    {"delete-resources-poison", "message", true, delete_resources_poison},
    {NULL, NULL, false, NULL},
};

static const char *environment(const char *name)
{
    return getenv(name);
}

/* Every line of a text as one log line. */
static void log_lines(enum log_level level, const struct str *text)
{
    for (const char *line = str_c(text); line != NULL && *line != '\0';) {
        size_t n = strcspn(line, "\n");
        log_line(level, "%.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static enum err_code read_settings(struct settings *s, uint16_t *port)
{
    AUTO_STR faults = STR_MAX(16 * 1024), notes = STR_MAX(4096);
    enum err_code code = settings_read(environment, s, &faults, &notes);

    if (settings_read_port(environment, port, &faults) != OK)
        code = ERR_INPUT;
    log_lines(LOG_INFO, &notes);
    if (code != OK) {
        log_line(LOG_ERROR, "the settings cannot be used:");
        log_lines(LOG_ERROR, &faults);
    }
    return code;
}

/* The parts that everything else shares; each is closed by stop(). */
struct parts {
    uint16_t port;
    struct settings settings;
    struct curl_pool *pool;
    struct http http;
    struct controller controller;
    struct failures failures;
    struct app app;
    struct server *server;
};

static enum err_code build(struct parts *p, struct err *err)
{
    struct settings *s = &p->settings;
    struct controller *c = &p->controller;

    enum err_code code = curl_start(&p->pool, err);
    if (code != OK)
        return code;
    p->http = (struct http){.transport = curl_transport(p->pool), .clock = &clock_system};
    c->http = &p->http;
    c->clock = &clock_system;
    c->storage = s->storage;
    c->storage.http = &p->http;
    c->slack_url = s->slack_url;
    c->max_jobs = s->max_jobs;
    c->legacy_replace = s->legacy_replace;
    c->upload_wait_s = s->upload_wait_s;
    c->max_job_minutes = s->max_job_minutes;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->upload, NULL);
    str_copy(c->group_prefix, sizeof c->group_prefix, s->group_prefix);
    str_copy(c->location, sizeof c->location, s->location);
    str_copy(c->trainer, sizeof c->trainer, s->trainer);
    str_copy(c->vm_storage_host, sizeof c->vm_storage_host, s->vm_storage_host);
    str_copy(c->image_id, sizeof c->image_id, s->image_id);
    names_owner(s->storage.account, c->owner);
    c->arm.http = &p->http;
    str_copy(c->arm.endpoint, sizeof c->arm.endpoint, s->arm_endpoint);
    str_copy(c->arm.subscription, sizeof c->arm.subscription, s->subscription);
    code = identity_open(&s->identity, &p->http, &c->arm.identity, err);
    if (code == OK)
        code = arm_quota_open(&clock_system, &c->quota, err);
    if (code == OK)
        code = prices_open(s->prices_endpoint, &p->http, &c->prices, err);
    if (code == OK)
        code = assets_load(s->root, &c->assets, err);
    failures_init(&p->failures);
    p->app = (struct app){
        .controller = c,
        .failures = &p->failures,
        .defaults =
            {
                .vm_size = s->vm_size,
                .vm_sizes = s->vm_sizes,
                .regions = s->regions,
                .spot = s->spot,
                .classes = s->classes,
                .epochs = s->epochs,
                .epochs_max = s->epochs_max,
                .max_minutes = s->max_minutes,
                .max_job_minutes = s->max_job_minutes,
                .max_job_micro_usd = s->max_job_micro_usd,
            },
    };
    return code;
}

static void stop(struct parts *p)
{
    assets_done(&p->controller.assets);
    arm_quota_close(p->controller.quota);
    prices_close(p->controller.prices);
    identity_close(p->controller.arm.identity);
    curl_stop(p->pool);
    settings_done(&p->settings);
}

/* Waits for the signal that asks to end. SIGTERM is a courtesy of the platform, never relied upon: everything that matters is in storage.
 * ORPHANED comes whenever the thread of the host that started this process ends, which happens in a living host too: the parent's id
 * decides. */
static int wait_for_end(const sigset_t *signals, pid_t host)
{
    int signal = 0;

    while (sigwait(signals, &signal) != 0 || (signal == ORPHANED && getppid() == host))
        continue;
    return signal;
}

static int serve(struct parts *p, const sigset_t *signals, pid_t host)
{
    struct err err = {0};

    if (server_start(p->port, FUNCTIONS, &p->app, &clock_system, BUDGET_MS, &p->server, &err) != OK) {
        log_line(LOG_ERROR, "%s", err.msg);
        return EXIT_FAILURE;
    }
    log_line(LOG_INFO, "listening on 127.0.0.1:%u, version %s", p->port, RETRAIN_VERSION);
    int signal = wait_for_end(signals, host);
    int cut = server_stop(p->server, DRAIN_MS);
    log_line(LOG_INFO, "signal %d: stopped, %d calls were cut off", signal, cut);
    if (cut > 0)
        _exit(128 + signal); /* their threads still use what stop() would free */
    return 128 + signal;     /* never 0: the host would take that for a wish to stay down */
}

/* `--check`: for a person at a terminal, without the Functions host. */
static int check(struct parts *p)
{
    AUTO_STR faults = STR_MAX(16 * 1024), notes = STR_MAX(4096);
    struct err err = {0};
    bool good = false;
    enum err_code code = settings_read(environment, &p->settings, &faults, &notes);

    log_lines(LOG_INFO, &notes);
    if (check_settings(&faults) && code == OK) {
        if (build(p, &err) == OK)
            good = check_services(&p->settings, &p->controller);
        else
            check_failed("program", &err);
    }
    stop(p);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct parts parts; /* large, and shared by all threads */
    struct err err = {0};
    sigset_t signals;
    pid_t host = getppid();

    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && str_is(argv[1], "--check"))
        return check(&parts);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, ORPHANED);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before the first thread: only sigwait sees them */
    /* Many threads come and go, and some hold a large file for a moment: what is freed goes back to the system. */
    mallopt(M_ARENA_MAX, 8); /* fewer, and they wait for each other */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
    prctl(PR_SET_PDEATHSIG, ORPHANED); /* a host that dies hard must not leave the port taken */
    setvbuf(stdout, NULL, _IOLBF, 0);

    if (read_settings(&parts.settings, &parts.port) != OK)
        return EXIT_FAILURE;
    int status = EXIT_FAILURE;
    if (build(&parts, &err) == OK)
        status = serve(&parts, &signals, host);
    else
        log_line(LOG_ERROR, "%s", err.msg);
    stop(&parts);
    return status;
}
