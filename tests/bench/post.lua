-- wrk: the host's POST of a queue trigger, with a message that no storage is asked about.
wrk.method = "POST"
wrk.path = "/delete-resources"
wrk.headers["Content-Type"] = "application/json; charset=utf-8"
wrk.headers["X-Azure-Functions-InvocationId"] = "5f0c1d1e-0000-4000-8000-000000000000"
wrk.body = os.getenv("BENCH_BODY")
local wrong = 0
function response(status, headers, body)
  if status ~= 200 or not string.find(body, "nothing was done", 1, true) then wrong = wrong + 1 end
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.read + summary.errors.connect + summary.errors.timeout))
end
