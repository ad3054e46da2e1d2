/* message_cases.h - the examples of the message format, good and bad, each named by the row it comes from. */
#ifndef MESSAGE_CASES_H
#define MESSAGE_CASES_H
#include "job/message.h"
#include "job/rules.h"

#define ID "800ae4b3-bdd2-4c08-badd-f08e5a34b865"
static const char default_id[] = "a-853b0581"; /* of a.zip and ID */

struct good {
    const char *row, *input, *zip, *job_id, *vm_size, *classes;
    int epochs, task, model;
    const char *continue_from;
};
static const struct good good[] = {
    {"D2 whole", "screws-0412.zip:screws-0412:Standard_D8s_v5:ok,scratch,dent:30:1:4:nothing", "screws-0412.zip", "screws-0412",
     "Standard_D8s_v5", "ok,scratch,dent", 30, 1, 4, ""},
    {"D2 name only", "a.zip", "a.zip", default_id, "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D2 short", "screws-0412.zip:job7", "screws-0412.zip", "job7", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D2 empty fields", "a.zip::::30", "a.zip", default_id, "Standard_D8s_v4", "", 30, 2, 1, ""},
    {"D2 typical name", "train (1).zip", "train (1).zip", "train-1-853b0581", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D2 Japanese name", "写真 その1.ZIP:x", "写真 その1.ZIP", "x", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D2 case of job_id", "a.zip:Screws.A_1", "a.zip", "screws.a_1", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D2 dl_type by name", "a.zip:::::instance_segmentation:2", "a.zip", default_id, "Standard_D8s_v4", "", 20, 3, 2, ""},
    {"model by name, colon", "a.zip:::::1:dino_v2", "a.zip", default_id, "Standard_D8s_v4", "", 20, 1, 0, ""},
    {"model by the name of a number", "{\"dataset\":\"a.zip\",\"task\":1,\"model\":\"EfficientNet_B0\"}", "a.zip", default_id,
     "Standard_D8s_v4", "", 20, 1, 1, ""},
    {"model by name, at its own size", "{\"dataset\":\"a.zip\",\"model\":\"ssd_mobilenetv2\",\"pretrained\":false}", "a.zip", default_id,
     "Standard_D8s_v4", "", 20, 2, 0, ""},
    {"D2 refered auto", "a.zip:::::::auto", "a.zip", default_id, "Standard_D8s_v4", "", 20, 2, 1, "auto"},
    {"D2 refered id", "a.zip:::::::Old.Job", "a.zip", default_id, "Standard_D8s_v4", "", 20, 2, 1, "old.job"},
    {"D2 size in other case", "a.zip::standard_d8s_V5", "a.zip", default_id, "Standard_D8s_v5", "", 20, 2, 1, ""},
    {"D1.2 BOM, blanks, line end", "\xef\xbb\xbf  a.zip : j1 \r\n", "a.zip", "j1", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D1.2 outer quotes", "\"a.zip:j1\"", "a.zip", "j1", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D1.2 encoded twice", "\"\\\"a.zip:j1\\\"\"", "a.zip", "j1", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D1.2 full-width", "a.zip：j1：：ok，ng：３０", "a.zip", "j1", "Standard_D8s_v4", "ok,ng", 30, 2, 1, ""},
    {"D1.2 full-width kept in the name", "写真：１.zip:j1", "写真：１.zip", "j1", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D1.3 base64", "YS56aXA6ajE=", "a.zip", "j1", "Standard_D8s_v4", "", 20, 2, 1, ""},
    {"D1.3 base64 of JSON", "eyJ2IjoxLCJhY3Rpb24iOiJ0cmFpbiIsImRhdGFzZXQiOiJhLnppcCJ9", "a.zip", default_id, "Standard_D8s_v4", "", 20, 2,
     1, ""},
    {"D3",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"job_id\":\"J1\",\"vm_size\":\"Standard_D8s_v5\",\"classes\":[\"ok\",\"a:b\"],"
     "\"epochs\":5,"
     "\"task\":\"classification\",\"model\":4,\"continue_from\":\"auto\"}",
     "a.zip", "j1", "Standard_D8s_v5", "ok,a:b", 5, 1, 4, "auto"},
    {"D3 aliases, order, pretty",
     "{\r\n\t\"model_type\": 1, \"dl_type\": 3,\n \"zip\": \"a.zip\", \"refered_job_id\": \"nothing\",\n \"v\": 1\n}\n", "a.zip",
     default_id, "Standard_D8s_v4", "", 20, 3, 1, ""},
    {"D3 null is not set", "{\"dataset\":\"a.zip\",\"job_id\":null,\"classes\":null}", "a.zip", default_id, "Standard_D8s_v4", "", 20, 2, 1,
     ""},
    {"D3 encoded twice", "\"{\\\"v\\\":1,\\n\\\"dataset\\\":\\\"a.zip\\\"}\"", "a.zip", default_id, "Standard_D8s_v4", "", 20, 2, 1, ""},
};

struct bad {
    const char *row, *input, *code, *field, *says, *corrected;
};
static const struct bad bad[] = {
    {"D5 empty", "", "E01", "", "empty", "mydata.zip"},
    {"D5 blanks", " \r\n\xef\xbb\xbf\t", "E01", "", "empty", "mydata.zip"},
    {"D5 quotes", "\"\"", "E01", "", "empty", "mydata.zip"},
    {"E01 words", "hello", "E01", "", "`hello` is not understood", "mydata.zip"},
    {"E01 base64 of words", "aGVsbG8=", "E01", "", "`hello` is not understood", "mydata.zip"},
    {"E01 done", "done", "E01", "", "delete-resources", "mydata.zip"},
    {"E01 done in base64", "ZG9uZQ==", "E01", "", "delete-resources", "mydata.zip"},
    {"E01 not UTF-8", "\x83\x65.zip", "E01", "", "UTF-8", "mydata.zip"},
    {"D5 E02", "train.tar.gz:j1", "E02", "zip", "`train.tar.gz` is not a .zip", "train.zip:j1"},
    {"E02 name only", "train.tar.gz", "E02", "zip", "is not a .zip", "train.zip"},
    {"E02 missing", ":j1", "E02", "zip", "missing", "mydata.zip:j1"},
    {"E02 missing in JSON", "{\"v\":1,\"job_id\":\"j1\"}", "E02", "dataset", "missing", "mydata.zip:j1"},
    {"E02 no name", ".zip", "E02", "zip", "dot", "mydata.zip"},
    {"D5 E03 Windows", "Z:\\train\\a.zip:j1", "E03", "zip", "Windows path", "a.zip:j1"},
    {"E03 Windows, copied as path", "\"C:\\temp\\new.zip\"", "E03", "zip", "Windows path", "new.zip"},
    {"E03 share", "\\\\nas\\train\\b.zip", "E03", "zip", "Windows path", "b.zip"},
    {"D5 E03 web", "https://x/a.zip", "E03", "zip", "web address", "a.zip"},
    {"E03 web with port and id", "https://x:8080/t/a%20b.zip:j1", "E03", "zip", "web address", "a b.zip:j1"},
    {"E03 web with SAS", "https://x.file.core.windows.net/train/a.zip?sv=2024-01-01T00:00:00Z&sig=SENTINEL%2Fabc", "E03", "zip",
     "web address", "a.zip"},
    {"E03 webhook", "https://hooks.slack.com/services/T0/B0/SENTINEL", "E03", "zip", "web address", "mydata.zip"},
    {"D5 E03 climbing", "../../etc/a.zip", "E03", "zip", "folder parts are not allowed", "a.zip"},
    {"E03 folder", "train/a.zip:j1", "E03", "zip", "folder parts", "a.zip:j1"},
    {"E03 JSON", "{\"dataset\":\"../a.zip\"}", "E03", "dataset", "folder parts", "a.zip"},
    {"E04 dot", "a．ｚｉｐ:j1", "E04", "zip", "character 2, `．`, is full-width (U+FF0E)", "a.zip:j1"},
    {"E04 semicolon", "a.zip；j1", "E04", "zip", "character 6, `；`, is full-width (U+FF1B)", "a.zip"},
    {"E04 job_id", "a.zip:j１", "E04", "job_id", "character 2, `１`", "a.zip:j1"},
    {"E04 vm_size", "a.zip::Ｓtandard_D8s_v5", "E04", "vm_size", "character 1", "a.zip::Standard_D8s_v5"},
    {"D5 E05", "a.zip:j1:D8s:ok,ng:20:2:1:nothing", "E05", "vm_size", "nearest allowed: `Standard_D8s_v4`",
     "a.zip:j1:Standard_D8s_v4:ok,ng"},
    {"E05 nearest", "a.zip:j1:Standard_NC4as_v3", "E05", "vm_size", "nearest allowed: `Standard_NC4as_T4_v3`",
     "a.zip:j1:Standard_NC4as_T4_v3"},
    {"D5 E06", "a.zip:j1:Standard_D8s_v4:ok,ok:20:2:1", "E06", "classes", "`ok` (name 2) is there twice", "a.zip:j1:Standard_D8s_v4:ok"},
    {"E06 empty name", "a.zip:j1::ok,,ng", "E06", "classes", "is empty", "a.zip:j1::ok,ng"},
    {"E06 JSON none", "{\"zip\":\"a.zip\",\"classes\":[]}", "E06", "classes", "0 names", "a.zip"},
    {"D5 E07 zero", "a.zip:j1::ok,ng:0:2:1", "E07", "epochs", "whole number from 1 to 1000", "a.zip:j1::ok,ng"},
    {"D5 E07 fraction", "a.zip::::20.5:", "E07", "epochs", "`20.5`", "a.zip"},
    {"D5 E07 exponent", "a.zip::::1e9:", "E07", "epochs", "`1e9`", "a.zip"},
    {"E07 JSON", "{\"zip\":\"a.zip\",\"epochs\":1001}", "E07", "epochs", "`1001`", "a.zip"},
    {"D5 E08 dl_type", "a.zip::::20:4:1", "E08", "dl_type", "1 classification, 2 detection, 3", "a.zip"},
    {"D5 E08 model_type", "a.zip::::20:3:3", "E08", "model_type", "for instance_segmentation (3): 1 to 2", "a.zip:::::3"},
    {"E08 another task's model", "{\"dataset\":\"a.zip\",\"model\":\"dino_v2\"}", "E08", "model",
     "for detection (2): 1 to 3, or ssd_mobilenetv2, yolox_tiny, atss_mobilenetv2, deim_dfine_m; `dino_v2` goes with task classification",
     "a.zip"},
    {"E08 no model", "{\"dataset\":\"a.zip\",\"task\":\"classification\",\"model\":\"resnet\"}", "E08", "model", "`resnet` is not allowed",
     "a.zip:::::1"},
    {"pretrained strict", "{\"dataset\":\"a.zip\",\"pretrained\":\"no\"}", "E14", "pretrained", "takes true or false, not a text",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"pretrained\":false}"},
    {"E09", "a.zip:j1:::::1:job/x", "E09", "refered_job_id", "`job/x` is not a job_id", "a.zip:j1"},
    {"E10 nothing", "a.zip:nothing", "E10", "job_id", "`nothing`", "a.zip"},
    {"E10 dot at the end", "a.zip:j1.", "E10", "job_id", "no dot at the end", "a.zip"},
    {"E10 two dots", "a.zip:j..1", "E10", "job_id", "no two dots", "a.zip"},
    {"E10 first", "a.zip:-j", "E10", "job_id", "first a letter or digit", "a.zip"},
    {"D5 E12", "a.zip:j1:Standard_D8s_v4:ok:ng:20:2:1:nothing", "E12", "", "9 fields, at most 8; a class name with `:`? use the JSON form",
     "a.zip:j1:Standard_D8s_v4"},
    {"D5 E13 zip", "$(reboot).zip:j1", "E13", "zip", "not allowed; nothing is ever passed through a shell", "(reboot).zip:j1"},
    {"D5 E13 job_id", "a.zip:j1;rm -rf:Standard_D8s_v4", "E13", "job_id", "nothing is ever passed through a shell",
     "a.zip::Standard_D8s_v4"},
    {"E13 epochs", "a.zip::::20;reboot", "E13", "epochs", "`20;reboot`", "a.zip"},
    {"E13 class", "a.zip:::ok,$(x)", "E13", "classes", "`$(x)` (name 2)", "a.zip:::ok"},
    {"E13 tab", "a.zip\t:j1", "E13", "", "character 6 is a tab", "a.zip:j1"},
    {"E13 two lines", "a.zip:j1\nb.zip:j2", "E13", "", "character 9 is a line break", "a.zip:j1"},
    {"E13 note", "{\"zip\":\"a.zip\",\"note\":\"a\\nb\"}", "E13", "note", "not allowed",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"note\":\"a b\"}"},
    {"D5 E14", "{\"v\":1,\"dataset\":\"a.zip\",\"epoch\":3}", "E14", "epoch", "unknown key `epoch`; did you mean `epochs`?", "a.zip::::3"},
    {"E14 unknown key", "{\"dataset\":\"a.zip\",\"colour\":5}", "E14", "colour", "unknown key `colour`", "a.zip"},
    {"E14 far key", "{\"dataset\":\"a.zip\",\"publisher\":\"x\"}", "E14", "publisher", "unknown key `publisher`", "a.zip"},
    {"E14 key in split", "{\"dataset\":\"a.zip\",\"split\":{\"sed\":3}}", "E14", "split.sed", "did you mean `split.seed`?",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"split\":{\"train\":0.7,\"seed\":3,\"group\":\"video\"}}"},
    {"E14 other case", "{\"Dataset\":\"a.zip\"}", "E14", "Dataset", "did you mean `dataset`?", "a.zip"},
    {"D1.5", "{\"dataset\":\"a.zip\",\"Id\":7}", "E14", "Id", "belongs to the Functions host", "a.zip"},
    {"D1.5 any case", "{\"dataset\":\"a.zip\",\"dequeueCount\":7}", "E14", "dequeueCount", "belongs to the Functions host", "a.zip"},
    {"D1.4 twice", "{\"dataset\":\"a.zip\",\"dataset\":\"b.zip\"}", "E14", "", "twice", "a.zip"},
    {"E14 alias too", "{\"dataset\":\"a.zip\",\"zip\":\"b.zip\"}", "E14", "dataset", "`dataset` and `zip` are the same field", "a.zip"},
    {"D1.4 depth", "{\"dataset\":\"a.zip\",\"classes\":[[[[1]]]]}", "E14", "", "cannot be read", "a.zip"},
    {"E14 broken", "{\"dataset\":\"a.zip\",", "E14", "", "cannot be read", "a.zip"},
    {"E14 broken path", "{\"dataset\":\"C:\\a.zip\"}", "E14", "", "cannot be read", "mydata.zip"},
    {"D3 strict", "{\"dataset\":\"a.zip\",\"epochs\":\"30\"}", "E14", "epochs", "takes a number, not a text", "a.zip::::30"},
    {"D3 strict classes", "{\"dataset\":\"a.zip\",\"classes\":\"ok,ng\"}", "E14", "classes", "takes a list of texts, not a text",
     "a.zip:::ok,ng"},
    {"D3 strict bool", "{\"dataset\":\"a.zip\",\"model\":true}", "E14", "model", "not true or false", "a.zip"},
    {"D3 strict zip", "{\"dataset\":5}", "E14", "dataset", "takes a text, not a number", "5.zip"},
    {"E18", "{\"dataset\":\"a.zip\",\"max_hours\":30}", "E18", "max_hours", "from 0.5 to 24",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"max_hours\":24}"},
    {"E18 low", "{\"dataset\":\"a.zip\",\"max_hours\":0.4}", "E18", "max_hours", "from 0.5",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"max_hours\":0.5}"},
    {"E19", "{\"dataset\":\"a.zip\",\"line\":\"a/b\"}", "E19", "line", "`a/b` is not a line",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"line\":\"a-b\"}"},
    {"E19 of nothing", "{\"dataset\":\"a.zip\",\"line\":\"--\"}", "E19", "line", "`--` is not a line", "a.zip"},
    {"E19 long", "{\"dataset\":\"a.zip\",\"line\":\"Screws of the second hall, left side, upper belt\"}", "E19", "line", "is not a line",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"line\":\"screws-of-the-second-hall-left-side-uppe\"}"},
    {"E20", "{\"dataset\":\"a.zip\",\"split\":{\"train\":1}}", "E20", "split.train", "0.5 to 0.95", "a.zip"},
    {"E20 group", "{\"dataset\":\"a.zip\",\"split\":{\"group\":\"day\"}}", "E20", "split.group", "video, none", "a.zip"},
    {"E21", "{\"dataset\":\"a.zip\",\"dataset_sha256\":\"abc\"}", "E21", "dataset_sha256", "64 hexadecimal", "a.zip"},
    {"E22 misspelt", "{\"v\":1,\"action\":\"trian\",\"dataset\":\"a.zip\"}", "E22", "action", "`trian`", "a.zip"},
    {"E23", "{\"v\":2,\"dataset\":\"a.zip\"}", "E23", "v", "`2`", "a.zip"},
    {"status with more", "{\"action\":\"status\",\"epochs\":2}", "E14", "epochs",
     "belongs to action train and does not go with action status; allowed with status: v, action, job_id",
     "{\"v\":1,\"action\":\"status\"}"},
    {"vm_sizes other size", "{\"dataset\":\"a.zip\",\"vm_sizes\":[\"Standard_D8s_v5\",\"D8s_v4\"]}", "E05", "vm_sizes",
     "`D8s_v4` is not allowed here; nearest allowed: `Standard_D8s_v4`",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"vm_sizes\":[\"Standard_D8s_v5\",\"Standard_D8s_v4\"]}"},
    {"vm_sizes twice", "{\"dataset\":\"a.zip\",\"vm_sizes\":[\"Standard_D8s_v5\",\"standard_d8s_v5\"]}", "E05", "vm_sizes",
     "`standard_d8s_v5` is there twice", "a.zip::Standard_D8s_v5"},
    {"vm_sizes none", "{\"dataset\":\"a.zip\",\"vm_sizes\":[]}", "E05", "vm_sizes", "0 names; allowed: 1 to 5", "a.zip"},
    {"vm_sizes text", "{\"dataset\":\"a.zip\",\"vm_sizes\":\"Standard_D8s_v5, Standard_D8s_v4\"}", "E14", "vm_sizes",
     "takes a list of texts, not a text",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"vm_sizes\":[\"Standard_D8s_v5\",\"Standard_D8s_v4\"]}"},
    {"vm_sizes number in the list", "{\"dataset\":\"a.zip\",\"vm_sizes\":[5,\"Standard_D8s_v5\"]}", "E14", "vm_sizes",
     "takes a list of texts, not a list with something else in it", "a.zip::Standard_D8s_v5"},
    {"vm_size and vm_sizes", "{\"dataset\":\"a.zip\",\"vm_sizes\":[\"Standard_D8s_v4\"],\"vm_size\":\"Standard_D8s_v5\"}", "E14",
     "vm_sizes", "`vm_sizes` and `vm_size` are the same field", "a.zip::Standard_D8s_v5"},
    {"vm_size list", "{\"dataset\":\"a.zip\",\"vm_size\":[\"Standard_D8s_v5\"]}", "E14", "vm_size", "takes a text, not a list of texts",
     "a.zip"},
    {"regions shown by the portal", "{\"dataset\":\"a.zip\",\"regions\":[\"Japan East\",\"japanwest\"]}", "E25", "regions",
     "`Japan East` is written `japaneast`",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"regions\":[\"japaneast\",\"japanwest\"]}"},
    {"regions twice", "{\"dataset\":\"a.zip\",\"regions\":[\"japanwest\",\"japaneast\",\"japanwest\"]}", "E25", "regions",
     "`japanwest` is there twice", "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"regions\":[\"japanwest\",\"japaneast\"]}"},
    {"regions other characters", "{\"dataset\":\"a.zip\",\"regions\":[\"japan-east\"]}", "E25", "regions",
     "`japan-east` is not a region's name", "a.zip"},
    {"regions empty name", "{\"dataset\":\"a.zip\",\"regions\":[\"\",\"japanwest\"]}", "E25", "regions", "`` is not a region's name",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"regions\":[\"japanwest\"]}"},
    {"regions text", "{\"dataset\":\"a.zip\",\"regions\":\",japanwest,\"}", "E14", "regions", "takes a list of texts, not a text",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"regions\":[\"japanwest\"]}"},
    {"regions for a shell", "{\"dataset\":\"a.zip\",\"regions\":[\"$(reboot)\"]}", "E13", "regions",
     "nothing is ever passed through a shell", "a.zip"},
    {"regions full-width", "{\"dataset\":\"a.zip\",\"regions\":[\"ｊapanwest\"]}", "E04", "regions", "character 1, `ｊ`",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"regions\":[\"japanwest\"]}"},
    {"regions too many", "{\"dataset\":\"a.zip\",\"regions\":[\"a1\",\"a2\",\"a3\",\"a4\",\"a5\",\"a6\"]}", "E25", "regions",
     "6 names; allowed: 1 to 5", "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"regions\":[\"a1\",\"a2\",\"a3\",\"a4\",\"a5\"]}"},
    {"spot", "{\"dataset\":\"a.zip\",\"spot\":\"always\"}", "E26", "spot", "`always` is not known; allowed: never, prefer, only", "a.zip"},
    {"spot strict", "{\"dataset\":\"a.zip\",\"spot\":true}", "E14", "spot", "takes a text, not true or false", "a.zip"},
    {"publish", "{\"dataset\":\"a.zip\",\"publish\":\"yes\"}", "E27", "publish", "`yes` is not known; allowed: if_better, always, never",
     "a.zip"},
    {"publish in capitals", "{\"dataset\":\"a.zip\",\"publish\":\"Never\"}", "E27", "publish", "`Never` is not known",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"publish\":\"never\"}"},
    {"publish, its word misspelt", "{\"dataset\":\"a.zip\",\"publish\":\"allways\"}", "E27", "publish", "`allways` is not known",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"publish\":\"always\"}"},
    {"spot in capitals", "{\"dataset\":\"a.zip\",\"spot\":\"Only\"}", "E26", "spot", "`Only` is not known",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"spot\":\"only\"}"},
    {"group in capitals", "{\"dataset\":\"a.zip\",\"split\":{\"group\":\"None\"}}", "E20", "split.group", "`None` is not known",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"split\":{\"train\":0.7,\"seed\":1,\"group\":\"none\"}}"},
    {"publish strict", "{\"dataset\":\"a.zip\",\"publish\":true}", "E14", "publish", "takes a text, not true or false", "a.zip"},
    {"publish is said again", "{\"dataset\":\"a.zip\",\"publish\":\"never\",\"epochs\":0}", "E07", "epochs", "`0` is not allowed",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"publish\":\"never\"}"},
    {"publish is misspelt", "{\"dataset\":\"a.zip\",\"publsh\":\"always\"}", "E14", "publsh", "did you mean `publish`?",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"publish\":\"always\"}"},
    {"force strict", "{\"dataset\":\"a.zip\",\"force\":\"true\"}", "E14", "force", "takes true or false, not a text",
     "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"force\":true}"},
    {"force number", "{\"dataset\":\"a.zip\",\"force\":1}", "E14", "force", "takes true or false, not a number", "a.zip"},
    {"E22 misspelt cancel", "{\"v\":1,\"action\":\"cancle\",\"job_id\":\"J1\"}", "E22", "action",
     "`cancle` is not known; did you mean `cancel`", "{\"v\":1,\"action\":\"cancel\",\"job_id\":\"J1\"}"},
    {"E22 Cancel", "{\"v\":1,\"action\":\"CANCEL\",\"job_id\":\"J1\"}", "E22", "action", "did you mean `cancel`",
     "{\"v\":1,\"action\":\"cancel\",\"job_id\":\"J1\"}"},
    {"E22 far", "{\"v\":1,\"action\":\"restart\",\"job_id\":\"j1\"}", "E22", "action", "the nearest is `",
     "{\"v\":1,\"action\":\"status\",\"job_id\":\"j1\"}"},
    {"cancel of what", "{\"v\":1,\"action\":\"cancel\"}", "E10", "job_id", "is missing: name the job to cancel",
     "{\"v\":1,\"action\":\"status\"}"},
    {"cancel of nothing", "{\"v\":1,\"action\":\"cancel\",\"job_id\":\" \"}", "E10", "job_id", "is missing",
     "{\"v\":1,\"action\":\"status\"}"},
    {"cancel of a bad id", "{\"v\":1,\"action\":\"cancel\",\"job_id\":\"a..b\"}", "E10", "job_id", "`a..b` is not a job_id",
     "{\"v\":1,\"action\":\"status\"}"},
    {"cancel of a number", "{\"v\":1,\"action\":\"cancel\",\"job_id\":5}", "E14", "job_id", "takes a text, not a number",
     "{\"v\":1,\"action\":\"cancel\",\"job_id\":\"5\"}"},
    {"cancel with hours", "{\"action\":\"cancel\",\"job_id\":\"j1\",\"max_hours\":3}", "E14", "max_hours",
     "belongs to action train and extend and does not go with action cancel; allowed with cancel: v, action, job_id",
     "{\"v\":1,\"action\":\"cancel\",\"job_id\":\"j1\"}"},
    {"retry with a dataset", "{\"action\":\"retry\",\"job_id\":\"J1\",\"dataset\":\"a.zip\"}", "E14", "dataset",
     "belongs to action train and does not go with action retry", "{\"v\":1,\"action\":\"retry\",\"job_id\":\"J1\"}"},
    {"retry of what", "{\"action\":\"retry\"}", "E10", "job_id", "name the job to retry", "{\"v\":1,\"action\":\"status\"}"},
    {"extend without hours", "{\"action\":\"extend\",\"job_id\":\"j1\"}", "E18", "max_hours", "is missing",
     "{\"v\":1,\"action\":\"extend\",\"job_id\":\"j1\",\"max_hours\":24}"},
    {"extend too far", "{\"action\":\"extend\",\"job_id\":\"j1\",\"max_hours\":25}", "E18", "max_hours", "from 0.5 to 24",
     "{\"v\":1,\"action\":\"extend\",\"job_id\":\"j1\",\"max_hours\":24}"},
    {"extend of what", "{\"action\":\"extend\",\"max_hours\":3}", "E10", "job_id", "name the job to extend",
     "{\"v\":1,\"action\":\"status\"}"},
    {"extend with spot", "{\"action\":\"extend\",\"job_id\":\"j1\",\"max_hours\":3.5,\"spot\":\"only\"}", "E14", "spot",
     "belongs to action train and does not go with action extend; allowed with extend: v, action, job_id, max_hours",
     "{\"v\":1,\"action\":\"extend\",\"job_id\":\"j1\",\"max_hours\":3.5}"},
    {"extend, one key misspelt", "{\"action\":\"extend\",\"job_id\":\"j1\",\"max_hour\":3}", "E14", "max_hour", "did you mean `max_hours`?",
     "{\"v\":1,\"action\":\"extend\",\"job_id\":\"j1\",\"max_hours\":3}"},
    {"publish of what", "{\"action\":\"publish\"}", "E10", "job_id", "name the job to publish", "{\"v\":1,\"action\":\"status\"}"},
    {"publish to a line", "{\"action\":\"publish\",\"job_id\":\"J1\",\"line\":\"b\"}", "E14", "line",
     "belongs to action train and rollback and does not go with action publish", "{\"v\":1,\"action\":\"publish\",\"job_id\":\"J1\"}"},
    {"rollback of a job", "{\"action\":\"rollback\",\"job_id\":\"J1\",\"version\":3}", "E14", "job_id",
     "allowed with rollback: v, action, line, version", "{\"v\":1,\"action\":\"status\"}"},
    {"rollback of a job in a line", "{\"action\":\"rollback\",\"job_id\":\"J1\",\"line\":\"b\"}", "E14", "job_id",
     "belongs to action train", "{\"v\":1,\"action\":\"rollback\",\"line\":\"b\"}"},
    {"rollback of something else", "{\"action\":\"rollback\",\"fleet\":\"screws\"}", "E14", "fleet", "unknown key `fleet`",
     "{\"v\":1,\"action\":\"status\"}"},
    {"rollback, the line misspelt", "{\"action\":\"rollback\",\"Line\":\"screws\"}", "E14", "Line", "did you mean `line`?",
     "{\"v\":1,\"action\":\"rollback\",\"line\":\"screws\"}"},
    {"rollback of a list", "{\"action\":\"rollback\",\"line\":[\"screws\"]}", "E14", "line", "takes a text",
     "{\"v\":1,\"action\":\"status\"}"},
    {"rollback misspelt", "{\"action\":\"roll back\"}", "E22", "action", "did you mean `rollback`", "{\"v\":1,\"action\":\"rollback\"}"},
    {"E28", "{\"action\":\"rollback\",\"line\":\"Screws\",\"version\":0}", "E28", "version",
     "`0` is not a version; allowed: a whole number", "{\"v\":1,\"action\":\"rollback\",\"line\":\"screws\"}"},
    {"rollback to a text", "{\"action\":\"rollback\",\"version\":\"3\"}", "E14", "version", "takes a number, not a text",
     "{\"v\":1,\"action\":\"rollback\",\"version\":3}"},
    {"rollback of a bad line", "{\"action\":\"rollback\",\"line\":\"a/b\",\"version\":2}", "E19", "line", "is not a line",
     "{\"v\":1,\"action\":\"rollback\",\"line\":\"a-b\",\"version\":2}"},
    {"rollback of no line", "{\"action\":\"rollback\",\"line\":\"ネジ\"}", "E19", "line", "is not a line",
     "{\"v\":1,\"action\":\"status\"}"},
    {"version to train", "{\"dataset\":\"a.zip\",\"version\":3}", "E14", "version", "belongs to action rollback", "a.zip"},
    {"status of what", "{\"action\":\"status\",\"job_id\":\"..\"}", "E10", "job_id", "is not a job_id", "{\"v\":1,\"action\":\"status\"}"},
};

static const struct message_defaults defaults = {.vm_size = "Standard_D8s_v4",
                                                 .vm_sizes = "Standard_D8s_v4, Standard_D8s_v5,Standard_NC4as_T4_v3",
                                                 .regions = "japaneast",
                                                 .classes = "",
                                                 .epochs = 20,
                                                 .epochs_max = 1000,
                                                 .max_minutes = 480,
                                                 .max_job_minutes = 1440};

static void read_bytes(const char *bytes, size_t len, struct message *m)
{
    struct err err = {0};
    assert_int_equal(message_read(bytes, len, ID, &defaults, m, &err), OK);
}

static void read_text(const char *text, struct message *m)
{
    read_bytes(text, strlen(text), m);
}

/* What holds for every message. */
static void check_always(const char *input, const struct message *m)
{
    assert_true(m->request.job_id[0] || m->action != ACTION_TRAIN);
    if (m->faults == 0) {
        assert_int_not_equal(m->action, ACTION_NONE);
        assert_string_equal(m->corrected, "");
        assert_true(m->action != ACTION_TRAIN || m->request.zip[0]);
        return;
    }
    struct message again;
    read_text(m->corrected, &again);
    if (again.faults != 0)
        fail_msg("the corrected line `%s` of `%.200s` is not accepted: %s %s: %s", m->corrected, input, again.fault[0].code,
                 again.fault[0].field, again.fault[0].text);
    assert_string_equal(m->request.job_id, m->default_job_id);
    assert_true(str_is_utf8(m->shown, strlen(m->shown)));
    for (int32_t i = 0; i < m->faults; i++) {
        assert_true(str_is_utf8(m->fault[i].text, strlen(m->fault[i].text)));
        assert_true(m->fault[i].text[0] != '\0');
        size_t known = 0;
        while (rules_code(known) && !str_is(rules_code(known)->code, m->fault[i].code))
            known++;
        assert_non_null(rules_code(known));
    }
    message_done(&again);
}
#endif
