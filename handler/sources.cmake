# Every source of the handler but main.c, by room, bottom up.
set(HANDLER_SOURCES
  handler/base/error.c handler/base/str.c handler/base/crypto.c handler/base/clock.c handler/base/json.c handler/base/json_scan.c
  handler/base/json_write.c handler/base/xml.c handler/base/log.c
  handler/http/http.c handler/http/curl.c
  handler/azure/connection.c handler/azure/storage.c handler/azure/sign.c handler/azure/blob.c handler/azure/blob_list.c handler/azure/files.c
  handler/azure/identity.c handler/azure/arm.c handler/azure/arm_error.c handler/azure/arm_list.c
  handler/job/text.c handler/job/zipname.c handler/job/decode.c handler/job/checks.c handler/job/classes.c handler/job/rules.c
  handler/job/suggest.c handler/job/message.c handler/job/request.c handler/job/names.c handler/job/report.c
  handler/job/place.c handler/job/step.c handler/job/step_model.c handler/job/step_words.c handler/job/record.c handler/job/remedy.c handler/job/notice.c
  handler/controller/controller.c handler/controller/assets.c handler/controller/ledger.c handler/controller/slots.c
  handler/controller/lines.c handler/controller/template.c handler/controller/bootstrap.c handler/controller/machine.c
  handler/controller/traces.c handler/controller/publish.c handler/controller/tell.c handler/controller/world.c handler/controller/drive.c
  handler/controller/sweep.c
  handler/functions/app.c handler/functions/intake.c handler/functions/js_queue_items.c handler/functions/delete_resources.c
  handler/functions/job_watch.c
  handler/server/invocation.c handler/server/server.c
  handler/settings.c
)
