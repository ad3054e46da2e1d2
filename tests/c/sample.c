#include "test.h"

#include "sample.h"

#define SET(to, text) str_copy((to), sizeof(to), (text))

static void sample_request(struct request *r)
{
    SET(r->zip, "ネジ 0412.zip");
    SET(r->job_id, "screws-0412");
    SET(r->job_name, "Screws-0412");
    r->job_id_given = true;
    places_split(&r->vm_sizes, "Standard_D8s_v4");
    places_split(&r->regions, "japaneast");
    r->classes = calloc(2, sizeof *r->classes);
    assert_non_null(r->classes);
    SET(r->classes[0], "ok");
    SET(r->classes[1], "点字 ブロック");
    r->classes_count = 2;
    r->epochs = 20;
    r->task = TASK_DETECTION;
    r->model = 1;
    r->pretrained = true;
    SET(r->continue_from, "screws-0301");
    SET(r->line, "screws");
    r->max_minutes = 480;
    r->split_train = 0.7;
    r->split_seed = 1;
    r->split_video = true;
    r->publish = PUBLISH_IF_BETTER;
    SET(r->requested_by, "yamada");
    SET(r->note, "line 3 camera moved");
}

void sample_record(struct record *rec)
{
    *rec = (struct record){0};
    sample_request(&rec->request);
    SET(rec->job_id, "screws-0412");
    SET(rec->message_id, "800ae4b3-bdd2-4c08-badd-f08e5a34b865");
    SET(rec->owner, "0123456789ab");
    SET(rec->slug, "screws-0412-abcdef");
    SET(rec->group_prefix, "train-rg");
    SET(rec->location, "japaneast");
    SET(rec->trainer, "tiny");
    SET(rec->model_name, "tiny");
    SET(rec->scripts_sha256, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
    rec->terms = (struct job_terms){.upload_wait_s = 300,
                                    .create_wait_s = 3600,
                                    .silence_s = 900,
                                    .run_s = 28800,
                                    .run_max_s = 86400,
                                    .publish_wait_s = 1800,
                                    .tell_wait_s = 86400};
    rec->state = (struct job_state){.machine = MACHINE_RUNNING,
                                    .attempt = 1,
                                    .due = NOTICE_ACCEPTED | NOTICE_STARTED,
                                    .told = NOTICE_ACCEPTED,
                                    .accepted_s = 1767225600,
                                    .started_s = 1767225700,
                                    .train_until_s = 1767251620,
                                    .deadline_s = 1767254500,
                                    .hard_stop_s = 1767312100,
                                    .machine_since_s = 1767225900};
    rec->next_look_s = 1767225960;
    SET(rec->zip_etag, "\"0x8DE1\"");
    rec->zip_size = 123456;
    SET(rec->parent_name, "Screws-0301");
    rec->validation = 1;
    rec->baseline = 3;
    rec->dearest_micro_usd = rec->price_micro_usd = 500000;
    rec->bill_since_s = 1767225705;
    rec->bill_attempt = 1;
    SET(rec->vm_id, "6f1d2c1e-0000-4000-8000-000000000000");
    SET(rec->manifest_etag, "\"0x8DE2\"");
    SET(rec->manifest_sha256, "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae");
    SET(rec->file[0].name, "model.bin");
    rec->file[0].size = 128096;
    SET(rec->file[0].sha256, "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9");
    SET(rec->file[0].etag, "\"0x8DE3\"");
    rec->files = 1;
    SET(rec->metric, "map");
    SET(rec->classes, "ok, 点字 ブロック");
    rec->value = 0.7125;
    rec->images = 18;
    rec->images_train = 42;
    rec->epochs_done = 20;
    SET(rec->saved_by, "00112233445566");
}
