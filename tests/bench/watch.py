"""What job-watch costs with ten live jobs, beside ten closed ones and beside ten thousand.

Only live/ markers are listed, so requests must be equal and time nearly so.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.clock import wait_until
from local.cloud import App, LocalCloud
from local.host import Options
from tests.drill.story import from_handler
from tests.e2e.quick import QuickVm

LIVE, FEW, MANY = 10, 10, 10_000
ROUNDS = 5
"""A minute each: in 15 the machines, which beat once, would pass for dead."""
TIME_RATIO = 1.5
"""Storage itself, with so many more blobs, may be a little slower."""
WHOLE_ZIP = b"PK\x05\x06" + bytes(18)
REAL_S = 120.0


def begin(cloud: LocalCloud, hold: threading.Event) -> None:
    """Ten jobs whose machines work until `hold` is set."""
    app = cloud.app
    cloud.vms.work = QuickVm(hold=hold)
    app.put_zip("watch.zip", WHOLE_ZIP)
    for at in range(LIVE):
        app.host.invoke("js-queue-items", f"watch.zip:live-{at}")

    def at_work() -> bool:
        cloud.clock.advance(61)
        app.watch()
        found = [(app.record(f"live-{at}") or {})["state"]["machine"] for at in range(LIVE)]
        return found == ["running"] * LIVE

    wait_until(at_work, REAL_S, "ten jobs at work")


def close_more(app: App, begun: int, wanted: int) -> None:
    """Add records of closed jobs, as their jobs would have left them."""
    record = app.record("live-0")
    assert record is not None
    container = app.blobs_client.get_container_client("jobs")

    def put(at: int) -> None:
        closed = {**record, "job_id": f"closed-{at}"}
        closed["state"] = {**record["state"], "machine": "closed", "outcome": "succeeded"}
        container.upload_blob(f"record/closed-{at}.json", json.dumps(closed))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(begun, wanted)))


def measure(cloud: LocalCloud) -> tuple[int, float]:
    """Requests of a round, and the time of the quickest in ms."""
    times, counts = [], []
    for _ in range(ROUNDS):
        cloud.clock.advance(61)
        before, began = len(cloud.recorder.exchanges), time.perf_counter()
        outcome = cloud.app.watch()
        times.append((time.perf_counter() - began) * 1000)
        assert outcome.error is None, outcome.error
        counts.append(sum(from_handler(e) for e in cloud.recorder.exchanges[before:]))
    return int(statistics.median(counts)), min(times)


def rows(dist: Path) -> list[tuple[str, bool]]:
    """What was measured, as lines for people, each with whether it is good."""
    hold, options = threading.Event(), Options(queues=False)
    settings = {"watch": {"MAX_JOBS": str(LIVE)}}
    with LocalCloud(settings, dist=dist, options=options, in_memory=True) as cloud:
        begin(cloud, hold)
        close_more(cloud.app, 0, FEW)
        few, few_ms = measure(cloud)
        close_more(cloud.app, FEW, MANY)
        many, many_ms = measure(cloud)
        hold.set()
    beside = f"beside {MANY} closed ones and beside {FEW}"
    ratio = many_ms / few_ms
    return [
        (f"job-watch of {LIVE} live jobs {beside}: {many} and {few} requests", many == few),
        (
            f"job-watch of {LIVE} live jobs {beside}: {many_ms:.0f} and {few_ms:.0f} ms, "
            f"{ratio:.2f} x, at most {TIME_RATIO}",
            ratio <= TIME_RATIO,
        ),
    ]
