/* cloud.h - a storage account on the scripted other side: what the tests of blobs and files start from. */
#ifndef CLOUD_H
#define CLOUD_H
#include "azure/storage.h"
#include "fake_http.h"

#define BLOB_HOST "https://acc.blob.core.windows.net"
#define QUEUE_HOST "https://acc.queue.core.windows.net"
#define FILE_HOST "https://acc.file.core.windows.net"

struct cloud {
    struct fake_clock clock;
    struct fake_http fake;
    struct storage storage;
};
static inline void cloud_init(struct cloud *c, const struct fake_step *steps, size_t count)
{
    fake_clock_init(&c->clock);
    fake_http_init(&c->fake, &c->clock, steps, count);
    if (storage_parse("AccountName=acc;AccountKey="
                      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
                      &c->storage, NULL) != OK)
        abort();
    c->storage.http = &c->fake.http;
}
static inline void cloud_done(struct cloud *c)
{
    fake_http_used_up(&c->fake);
    storage_done(&c->storage);
}
#endif
