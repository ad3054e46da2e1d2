"""What is known before Azure is asked for a machine: sizes, quota and prices; and what people read
of the money."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from local.arm import error_body
from local.cloud import App, LocalCloud
from tests.e2e.conftest import hasten
from tests.e2e.helpers import (
    arm_calls,
    corrected_line,
    deliver,
    deployments,
    machine,
    refusal,
    result_text,
    run_until_closed,
    state,
    texts_about,
    turn_until,
)
from tests.e2e.quick import QuickVm

SIZE = "Standard_D8s_v4"
FAMILY = "standardDSv4Family"
KEPT_S = 3700.0
"""Longer than any answer about sizes and quota is kept."""


@pytest.fixture
def cloud(cloud: LocalCloud) -> Iterator[LocalCloud]:
    """The shared cloud; afterwards it offers everything again, and nobody remembers otherwise."""
    yield cloud
    cloud.arm.quota.reset()
    cloud.clock.advance(KEPT_S)


def puts(cloud: LocalCloud, job: str) -> int:
    """Requests that would make something for a job."""
    return len(arm_calls(cloud, "PUT", f"(?i)/resourcegroups/train-rg-{job}-"))


def looked_up(cloud: LocalCloud, what: str) -> int:
    return len(arm_calls(cloud, "GET", f"/Microsoft.Compute/.*{what}\\?"))


def trouble(app: App, job: str) -> str:
    return str((app.record(job) or {}).get("trouble", ""))


def test_c1_11_quota_is_looked_up_before_the_first_put(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """Limit 10, used 8, needed 8: nothing is made, and people read the numbers."""
    app = cloud.app
    app.put_zip("crammed.zip", zip_bytes)
    cloud.clock.advance(KEPT_S)
    cloud.arm.quota.limits[FAMILY] = 10
    cloud.arm.quota.others[FAMILY] = 8
    deliver(app, "crammed.zip:crammed")
    words = f"QuotaExceeded: {FAMILY}: 8 of 10 vCPUs are used, 8 more are needed"
    turn_until(cloud, lambda: any(words in t for t in texts_about(app, "crammed")))
    assert puts(cloud, "crammed") == 0
    cloud.arm.quota.reset()
    record = run_until_closed(cloud, "crammed")
    assert record["state"]["outcome"] == "succeeded"
    assert len(deployments(cloud, "crammed")) == 1


def test_the_region_and_spot_have_limits_of_their_own(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """The pool of Spot machines being empty stops nobody who pays the list price."""
    app = cloud.app
    app.put_zip("region.zip", zip_bytes)
    cloud.clock.advance(KEPT_S)
    cloud.arm.quota.limits["lowPriorityCores"] = 0
    cloud.arm.quota.limits["cores"] = 7
    deliver(app, "region.zip:region")
    assert "Total Regional Cores: 0 of 7 vCPUs are used, 8 more" in trouble(app, "region")
    assert puts(cloud, "region") == 0
    cloud.arm.quota.limits["cores"] = 8
    assert run_until_closed(cloud, "region")["state"]["outcome"] == "succeeded"


@pytest.mark.parametrize("how", ["restricted", "withdrawn"])
def test_a_size_that_cannot_be_had_is_not_ordered(
    cloud: LocalCloud, zip_bytes: bytes, how: str
) -> None:
    app = cloud.app
    app.put_zip(f"{how}.zip", zip_bytes)
    cloud.clock.advance(KEPT_S)
    if how == "restricted":
        cloud.arm.quota.restricted[SIZE] = "NotAvailableForSubscription"
    else:
        cloud.arm.quota.withdrawn.add((SIZE, "japaneast"))
    deliver(app, f"{how}.zip:{how}")
    assert "SkuNotAvailable: " in trouble(app, how)
    assert SIZE in trouble(app, how)
    assert puts(cloud, how) == 0
    cloud.arm.quota.reset()
    assert run_until_closed(cloud, how)["state"]["outcome"] == "succeeded"


@pytest.mark.parametrize(
    ("what", "name", "fault"),
    [
        ("skus", "forbidden", {"status": 403, "body": error_body("AuthorizationFailed")}),
        ("usages", "forbidden", {"status": 403, "body": error_body("AuthorizationFailed")}),
        ("skus", "cut", {"reset": "half"}),
        ("usages", "down", {"status": 503, "headers": {"Retry-After": "0"}}),
    ],
)
def test_a_lookup_that_fails_is_no_proof(
    cloud: LocalCloud, zip_bytes: bytes, what: str, name: str, fault: dict[str, Any]
) -> None:
    """Azure itself is asked then."""
    app, job = cloud.app, f"{name}-{what}"
    app.put_zip(f"{job}.zip", zip_bytes)
    cloud.clock.advance(KEPT_S)
    scripted = cloud.faults.add(url=f"/{what}\\?", service="arm", times=None, **fault)
    deliver(app, f"{job}.zip:{job}")
    assert scripted.hits > 0
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "succeeded"


def test_what_was_looked_up_serves_the_next_job_too(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("kept.zip", zip_bytes)
    cloud.clock.advance(KEPT_S)
    before = looked_up(cloud, "skus"), looked_up(cloud, "usages")
    for job in ("kept-1", "kept-2"):
        deliver(app, f"kept.zip:{job}")
    assert (looked_up(cloud, "skus"), looked_up(cloud, "usages")) == (before[0] + 1, before[1] + 1)
    for job in ("kept-1", "kept-2"):
        run_until_closed(cloud, job)


# Money.


def test_people_read_what_a_job_may_cost_and_what_it_did(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    """$0.50 an hour, and $0.02 for disk and address."""
    app = cloud.app
    app.put_zip("paid.zip", zip_bytes)
    deliver(app, '{"v":1,"dataset":"paid.zip","job_id":"paid","max_hours":4}')
    turn_until(cloud, lambda: machine(app, "paid") in ("running", "deleting"))
    receipt = texts_about(app, "paid")[0]
    assert "at most 4 hours once started, about $2.08 at most" in receipt
    record = run_until_closed(cloud, "paid")
    said = re.compile(
        r" The machine ran (\d+ min|less than a minute), about (less than )?\$0\.\d\d\."
    )
    assert said.search(texts_about(app, "paid")[-1])
    assert said.search(result_text(app, "paid.zip"))
    assert record["price_micro_usd"] == 500_000
    assert record["bill_since_s"] == record["state"]["ordered_s"]
    assert record["bill_since_s"] < record["bill_gone_s"]


def test_a_machine_that_was_never_made_costs_nothing(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("free.zip", zip_bytes)
    cloud.faults.add(
        url="/train-rg-free-.*/deployments/train",
        method="PUT",
        service="arm",
        times=None,
        status=403,
        body=error_body("AuthorizationFailed"),
    )
    deliver(app, "free.zip:free")
    record = run_until_closed(cloud, "free")
    assert record["state"]["outcome"] == "failed"
    assert "The machine ran" not in texts_about(app, "free")[-1]
    assert record["bill_since_s"] == 0


def test_without_a_limit_a_price_list_that_is_down_stops_nobody(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    app.put_zip("unpriced.zip", zip_bytes)
    cloud.clock.advance(90_000)
    cloud.faults.add(service="prices", times=None, status=500)
    deliver(app, "unpriced.zip:unpriced")
    record = run_until_closed(cloud, "unpriced")
    assert record["state"]["outcome"] == "succeeded"
    texts = texts_about(app, "unpriced")
    assert "$" not in "".join(texts)
    assert "The machine ran" in texts[-1]


@pytest.fixture(scope="module")
def capped(dist: Any, zip_bytes: bytes) -> Iterator[LocalCloud]:
    """An app whose jobs may cost $20, where a machine costs $3 an hour."""
    apps = {"app": {"MAX_JOB_COST": "20", "VM_SIZES": f"{SIZE},Standard_D4s_v5"}}
    with LocalCloud(apps, dist=dist) as cloud:
        cloud.prices.hourly = {SIZE: 3.0, "Standard_D4s_v5": 50.0}
        cloud.app.put_zip("a.zip", zip_bytes)
        yield hasten(cloud)


def message(**fields: Any) -> str:
    return json.dumps({"v": 1, "dataset": "a.zip", "vm_size": SIZE, "force": True, **fields})


def refused(app: App, text: str) -> tuple[str, str]:
    """What a refused message is answered: its faults, and the line to paste."""
    _, record = refusal(app, deliver(app, text))
    assert record["state"]["outcome"] == "rejected"
    return record["refused"], record.get("corrected", "")


def test_c1_27_price_above_the_cap_is_rejected_without_arm_call(capped: LocalCloud) -> None:
    """$3 an hour for 10 hours, $20 allowed; the line that is proposed is accepted."""
    app = capped.app
    before = len(capped.recorder.select("arm"))
    said, line = refused(app, message(job_id="dear", max_hours=10))
    assert said == (
        f"E15 max_hours: 10 h on a {SIZE} in japaneast may cost $30.20 ($3.00 an hour, and "
        "$0.02 an hour for disk and address); allowed: $20.00 (MAX_JOB_COST), which is enough for "
        "6.5 h"
    )
    assert len(capped.recorder.select("arm")) == before
    assert line == corrected_line(result_text(app, "a.zip"))
    assert json.loads(line)["max_hours"] == 6.5
    deliver(app, line)
    record = run_until_closed(capped, "dear")
    assert record["state"]["outcome"] == "succeeded"
    assert record["request"]["max_minutes"] == 390
    assert "at most 6.5 hours once started, about $19.63 at most" in texts_about(app, "dear")[0]


def test_a_message_may_set_a_lower_limit(capped: LocalCloud) -> None:
    app = capped.app
    said, line = refused(app, message(job_id="low", max_hours=3, max_cost=7.5))
    assert "may cost $9.06" in said
    assert "allowed: $7.50 (max_cost), which is enough for 2 h" in said
    assert json.loads(line)["max_cost"] == 7.5
    deliver(app, line)
    assert run_until_closed(capped, "low")["request"]["max_micro_usd"] == 7_500_000


def test_a_message_cannot_set_a_higher_one(capped: LocalCloud) -> None:
    app = capped.app
    said, line = refused(app, message(job_id="high", max_hours=2, max_cost=21))
    assert said.startswith("E15 max_cost: `21` is not allowed")
    assert "at most $20.00" in said
    assert "max_cost" not in json.loads(line)
    deliver(app, line)
    assert run_until_closed(capped, "high")["state"]["outcome"] == "succeeded"


def test_where_no_time_fits_the_limit_of_the_message_goes(capped: LocalCloud) -> None:
    app = capped.app
    said, line = refused(app, message(job_id="tiny", max_hours=10, max_cost=1))
    assert "which is not enough for half an hour" in said
    assert "max_cost" not in json.loads(line)
    deliver(app, line)
    assert run_until_closed(capped, "tiny")["state"]["outcome"] == "succeeded"


def test_the_dearest_place_where_a_job_may_land_counts(capped: LocalCloud) -> None:
    """Without vm_size it may be any of VM_SIZES."""
    said, _ = refused(capped.app, '{"v":1,"dataset":"a.zip","max_hours":1}')
    assert "1 h on a Standard_D4s_v5 in japaneast may cost $50.02" in said


def test_an_extension_is_bound_by_the_limit_too(capped: LocalCloud) -> None:
    app = capped.app
    capped.vms.work = QuickVm(hold=threading.Event())
    deliver(app, message(job_id="longer", max_hours=2))
    turn_until(capped, lambda: machine(app, "longer") == "running")
    deadline = state(app, "longer")["deadline_s"]
    deliver(app, '{"v":1,"action":"extend","job_id":"longer","max_hours":7}')
    assert texts_about(app, "longer")[-1] == (
        "Job `longer` is not extended: 7 h may cost $21.14; allowed: $20.00 (MAX_JOB_COST), which "
        "is enough for 6.5 h."
    )
    assert state(app, "longer")["deadline_s"] == deadline
    deliver(app, '{"v":1,"action":"extend","job_id":"longer","max_hours":6.5}')
    assert state(app, "longer")["deadline_s"] == deadline + 4.5 * 3600
    assert capped.vms.work.hold is not None
    capped.vms.work.hold.set()
    capped.vms.work = QuickVm()
    run_until_closed(capped, "longer")


def test_where_only_the_operator_can_help_no_line_is_proposed(capped: LocalCloud) -> None:
    said, line = refused(capped.app, message(vm_size="Standard_D4s_v5", max_hours=1))
    assert "only the operator can change that, or another vm_size" in said
    assert line == ""


def test_a_price_that_is_not_known_is_no_price_below_the_limit(capped: LocalCloud) -> None:
    """The payer is asked to send it again; five minutes later the same line is accepted."""
    app = capped.app
    capped.clock.advance(90_000)
    fault = capped.faults.add(service="prices", times=None, status=500)
    said, line = refused(app, message(job_id="unknown", max_hours=2))
    assert said.startswith(f"E15 max_cost: what a {SIZE} in japaneast costs is not known now")
    assert "send the same again in five minutes" in said
    capped.faults.remove(fault)
    capped.clock.advance(300)
    deliver(app, line)
    assert run_until_closed(capped, "unknown")["state"]["outcome"] == "succeeded"


def test_the_dearest_of_all_pages_counts(capped: LocalCloud) -> None:
    app = capped.app
    capped.clock.advance(90_000)
    capped.prices.page_size = 1
    before = len(capped.recorder.select("prices"))
    deliver(app, message(job_id="pages", max_hours=1))
    assert len(capped.recorder.select("prices")) == before + 4
    assert state(app, "pages")["outcome"] != "rejected"
    assert run_until_closed(capped, "pages")["price_micro_usd"] == 3_000_000
    capped.prices.page_size = 1000
