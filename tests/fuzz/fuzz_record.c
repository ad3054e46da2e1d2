/* Records and what machines leave. What is read is written and read again as the same. */
#include "fuzz.h"
#include "job/record.h"

/* Whatever a manifest says can be judged, and only what passes is published. */
static void judge(const struct manifest *m)
{
    struct gate_names classes = {m->class_name, m->classes_count};
    for (enum publish_policy p = PUBLISH_UNGATED; p <= PUBLISH_NEVER; p++) {
        struct gate_verdict v;
        struct gate_question q = {p, &m->gate, m->metric, m->gate.baseline, classes, classes};
        gate_decide(&q, &v);
        FUZZ_ASSERT(v.publish == (v.code <= GATE_ALWAYS));
        FUZZ_ASSERT(v.publish || v.text[0] != '\0');
        FUZZ_ASSERT(p != PUBLISH_IF_BETTER || v.code != GATE_BETTER || m->gate.score > m->gate.former);
    }
}

static void reports(const char *text, size_t len)
{
    struct report report;
    struct manifest manifest;
    (void)(report_read(text, len, "j1", 1, &report, NULL) == OK);
    if (manifest_read(text, len, "j1", 1, "default", "detection", &manifest, NULL) == OK)
        judge(&manifest);
    manifest_done(&manifest);
    (void)status_beat(text, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_RECORD rec = {0}, again = {0};
    AUTO_STR first = STR_MAX(RECORD_BYTES_MAX), second = STR_MAX(RECORD_BYTES_MAX);
    reports((const char *)data, size);
    if (record_read((const char *)data, size, &rec, NULL) != OK)
        return 0;
    record_write(&first, &rec);
    if (str_c(&first) == NULL)
        return 0;
    FUZZ_ASSERT(record_read(first.p, first.len, &again, NULL) == OK);
    record_write(&second, &again);
    FUZZ_ASSERT(str_is(str_c(&first), str_c(&second)));
    return 0;
}
