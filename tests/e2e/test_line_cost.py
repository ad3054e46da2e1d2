"""What a job costs that waits for a slot: next to nothing, however many hold one or wait."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from local.cloud import LocalCloud
from local.host import Options
from tests.e2e.helpers import deliver, machine, slots, turn, turn_until
from tests.e2e.quick import QuickVm

SLOTS, WAITING = 4, 4


def records_read(cloud: LocalCloud, since: int, but: str) -> list[str]:
    """The jobs whose records the handler has read since then, without one of them."""
    found = [
        re.search(r"/jobs/record/(job-\d+)\.json", e.url)
        for e in cloud.recorder.exchanges[since:]
        if e.method == "GET" and e.service == "blob"
    ]
    return [match[1] for match in found if match and match[1] != but]


def test_who_waits_reads_one_record_of_others(
    make_cloud: Callable[..., LocalCloud], zip_bytes: bytes
) -> None:
    cloud = make_cloud({"app": {"MAX_JOBS": str(SLOTS)}}, options=Options(queues=False))
    app = cloud.app
    hold = threading.Event()
    cloud.vms.work = QuickVm(hold=hold)
    app.put_zip("a.zip", zip_bytes)
    for at in range(SLOTS):
        deliver(app, f"a.zip:job-{at}")
    turn_until(cloud, lambda: all(machine(app, f"job-{at}") == "running" for at in range(SLOTS)))
    deliver(app, f"a.zip:job-{SLOTS}")
    for at in range(SLOTS + 1, SLOTS + WAITING):
        since = len(cloud.recorder.exchanges)
        deliver(app, f"a.zip:job-{at}")
        assert records_read(cloud, since, f"job-{at}") == [], "who joins reads nobody's record"
    names = [f"job-{SLOTS + at}" for at in range(WAITING)]
    assert slots(app)["waiting"] == names
    since = len(cloud.recorder.exchanges)
    turn(cloud, seconds=61)
    read = records_read(cloud, since, "")
    others = len(read) - 2 * (
        SLOTS + WAITING
    )  # job-watch chooses by the record, the drive loads it
    assert others == SLOTS + WAITING - 1, "the first looks at the holders, the others at the first"
    hold.set()
    turn_until(cloud, lambda: not app.markers(), what="all jobs closed")
    assert [machine(app, name) for name in names] == ["closed"] * WAITING
