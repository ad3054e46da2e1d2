"""What people send: every form that must work, every mistake with its answer, and status."""

from __future__ import annotations

import json
import threading

import pytest

from local.cloud import LocalCloud
from tests.e2e.helpers import (
    accepted,
    arm_calls,
    corrected_line,
    current,
    deliver,
    is_closed,
    machine,
    records,
    refusal,
    result_text,
    run_until_closed,
    state,
    texts_about,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm

LONG_WAIT_S = 400.0
"""Longer than WAIT_FOR_UPLOAD."""


def expire(cloud: LocalCloud) -> None:
    """Let all jobs that wait for a zip end."""
    cloud.clock.advance(LONG_WAIT_S)
    turn_until(cloud, lambda: not cloud.app.markers(), what="jobs without a zip end")


# What must work.

FORMS = [
    ("plain", "{zip}:form-plain", False, "form-plain"),
    ("base64", "{zip}:form-base64", True, "form-base64"),
    ("BOM and blanks", "\ufeff  {zip} : form-bom \r\n", True, "form-bom"),
    ("full-width", "{zip}：form-wide：：ok，dent：３０", True, "form-wide"),
    ("quotes", '"{zip}:form-quotes"', False, "form-quotes"),
    ("JSON", '{{"v":1,"action":"train","dataset":"{zip}","job_id":"Form-JSON"}}', True, None),
    ("JSON plain", '{{\n "dataset": "{zip}",\n "job_id": "form-json2"\n}}', False, "form-json2"),
]


@pytest.mark.parametrize(("name", "text", "encode", "job"), FORMS, ids=[form[0] for form in FORMS])
def test_c1_03_every_form_is_accepted_over_the_queue(
    cloud: LocalCloud, name: str, text: str, encode: bool, job: str | None
) -> None:
    app = cloud.app
    before = set(records(app))
    app.send(text.format(zip="nowhere.zip"), encode=encode)
    wait_for(lambda: set(records(app)) - before, what="a record")
    (made,) = set(records(app)) - before
    assert made == (job or "form-json")
    record = app.record(made)
    assert record is not None
    request = record["request"]
    assert (request["zip"], request["job_id_given"]) == ("nowhere.zip", True)
    assert request["job_name"] == ("Form-JSON" if job is None else job)
    if name == "full-width":
        assert (request["classes"], request["epochs"]) == (["ok", "dent"], 30)
    wait_for(lambda: texts_about(app, request["job_name"]), what="the receipt")
    assert "is accepted" in texts_about(app, request["job_name"])[0]
    expire(cloud)


def test_a_file_name_alone_just_works(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("ネジ (1).zip", zip_bytes)
    message = deliver(app, "ネジ (1).zip")
    job, _ = refusal(app, message)  # the default id, here of a job that is accepted
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "succeeded"
    assert current(app)["job_id"] == job
    assert "has succeeded" in result_text(app, "ネジ (1).zip")


def test_the_job_id_keeps_its_case_where_people_see_it(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("case.zip", zip_bytes)
    deliver(app, "case.zip:Screws.A_1")
    record = run_until_closed(cloud, "screws.a_1")
    assert record["state"]["outcome"] == "succeeded"
    assert len(texts_about(app, "Screws.A_1")) >= 2
    assert "Screws.A_1" in app.files("logs")
    assert app.file("logs", "Screws.A_1/latest.pth") is not None


# What is refused. (input, codes, words, corrected line); a zip that is absent keeps it cheap.

REFUSED: list[tuple[str, list[str], str, str]] = [
    ("", ["E01"], "empty", "mydata.zip"),
    ("hello", ["E01"], "`hello` is not understood", "mydata.zip"),
    ("done", ["E01"], "delete-resources", "mydata.zip"),
    ("no.tar.gz:r1", ["E02"], "`no.tar.gz` is not a .zip", "no.zip:r1"),
    ("Z:\\train\\no.zip:r2", ["E03"], "Windows path", "no.zip:r2"),
    ("https://x/no.zip", ["E03"], "web address", "no.zip"),
    ("../../etc/no.zip", ["E03"], "folder parts are not allowed", "no.zip"),
    ("no.zip；r3", ["E04"], "is full-width", "no.zip"),
    ("no.zip:r4:D8s:ok,ng:20:2:1:nothing", ["E05"], "`Standard_D8s_v4`", "no.zip:r4::ok,ng"),
    ("no.zip:r5:Standard_D8s_v4:ok,ok:20:2:1", ["E06"], "`ok`", "no.zip:r5::ok"),
    ("no.zip:r6::ok,ng:0:2:1", ["E07"], "whole number from 1 to 1000", "no.zip:r6::ok,ng"),
    ("no.zip:r7:::20:4:1", ["E08"], "2 detection", "no.zip:r7"),
    ("no.zip:r8:::20:3:3", ["E08"], "1 to 2", "no.zip:r8"),
    ("no.zip:r10:D8s:::3::no-such", ["E05", "E08", "E09"], "`no-such`", "no.zip:r10"),
    ("no.zip:r9:::20:3:1", ["E08"], "instance_segmentation cannot be trained here", "no.zip:r9"),
    ("no.zip:r11::::::no-such", ["E09"], "`no-such`", "no.zip:r11"),
    ("no.zip:a:b:c:d:e:f:g:h", ["E12"], "9 fields, at most 8", ""),
    ("$(reboot).zip:r12", ["E13"], "nothing is ever passed through a shell", "(reboot).zip:r12"),
    ("no.zip:j1;rm -rf:Standard_D8s_v4", ["E13"], "not allowed", "no.zip"),
    ('{"v":1,"dataset":"no.zip","epoch":3}', ["E14"], "did you mean `epochs`?", "no.zip::::3"),
    ('{"v":1,"dataset":"no.zip","epochs":"20"}', ["E14"], "takes a number", "no.zip"),
    ('{"v":1,"dataset":"no.zip","max_hours":99}', ["E18"], "from 0.5 to 24", ""),
    (
        '{"v":1,"dataset":"no.zip","line":"a/b"}',
        ["E19"],
        "`a/b` is not a line",
        '{"v":1,"action":"train","dataset":"no.zip","line":"a-b"}',
    ),
    ('{"action":"begin","job_id":"r13"}', ["E22"], "train, status", ""),
    ("no.zip:r14:D8s:ok,ok:0:9:9", ["E05", "E06", "E07", "E08"], "", ""),
]


@pytest.mark.parametrize(("text", "codes", "words", "line"), REFUSED, ids=[r[0] for r in REFUSED])
def test_a_mistake_is_answered_with_a_line_that_is_accepted(
    cloud: LocalCloud, text: str, codes: list[str], words: str, line: str
) -> None:
    app = cloud.app
    before, files = set(records(app)), set(app.files("train"))
    told = len(app.slack())
    message = deliver(app, text)
    assert len(set(records(app)) - before) == 1
    job, record = refusal(app, message)
    assert record["state"]["outcome"] == "rejected"
    assert record["state"]["reason"] == "message"
    assert is_closed(app, job)
    assert record["state"]["told"] == record["state"]["due"]
    (answer,) = app.slack()[told:]
    assert f"Job `{job}` is rejected" in answer
    assert [code for code in codes if code not in answer] == []
    assert words in answer
    # RESULT.txt only beside a valid name.
    zip_name = record["request"]["zip"]
    assert set(app.files("train")) - files <= {f"{zip_name}.RESULT.txt"}
    if zip_name:
        assert f"Job `{job}` is rejected" in result_text(app, zip_name)
    corrected = corrected_line(answer)
    assert line in ("", corrected)
    # Delivered once more: nothing new.
    deliver(app, text, message)
    assert app.slack()[told + 1 :] == []
    # The corrected line, pasted.
    told = len(app.slack())
    message = deliver(app, corrected)
    if corrected.startswith('{"v":1,"action":"status"'):
        assert len(app.slack()) == told + 1
        return
    assert "is accepted" in app.slack()[told], app.slack()[told:]
    expire(cloud)


def test_all_faults_are_in_the_result_file_too(cloud: LocalCloud) -> None:
    app = cloud.app
    deliver(app, "faults.zip:x:D8s:ok,ok:0")
    text = result_text(app, "faults.zip")
    assert all(code in text for code in ("E05", "E06", "E07"))
    assert corrected_line(text) == "faults.zip:x::ok"


def test_a_job_id_in_use_with_other_data(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("used.zip", zip_bytes)
    deliver(app, "used.zip:used")
    first = run_until_closed(cloud, "used")
    message = deliver(app, "used.zip:used:::7")
    job, record = refusal(app, message)
    assert record["state"]["outcome"] == "rejected"
    answer = app.slack()[-1]
    assert f"Job `{job}` is rejected" in answer
    assert "E10 job_id: `used` belongs to another request" in answer
    assert corrected_line(answer) == "used.zip:used-2::: 7".replace(" ", "")
    deliver(app, corrected_line(answer))
    second = run_until_closed(cloud, "used-2")
    assert second["state"]["outcome"] == "succeeded"
    assert second["request"]["epochs"] == 7
    assert app.record("used") == first, "the record of the first job is as it was"


def test_a_job_id_in_use_is_told_with_the_other_faults(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    for job in ("full", "full-2"):
        app.put_zip("full.zip", zip_bytes)
        deliver(app, f"full.zip:{job}")
        run_until_closed(cloud, job)
    deliver(app, "full.zip:full:D8s::0")
    answer = app.slack()[-1]
    assert all(code in answer for code in ("E05", "E07", "E10", "E11")), answer
    assert json.loads(corrected_line(answer))["job_id"] == "full-2-2", "full-2 is used up too"
    deliver(app, corrected_line(answer))
    assert run_until_closed(cloud, "full-2-2")["state"]["outcome"] == "succeeded"


def test_a_job_id_is_in_use_with_another_zip_of_that_name(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    app.put_zip("renewed.zip", zip_bytes)
    deliver(app, "renewed.zip:renewed")
    run_until_closed(cloud, "renewed")
    app.put_zip("renewed.zip", zip_bytes)  # another upload: another ETag
    deliver(app, "renewed.zip:renewed")
    assert "E10" in app.slack()[-1]
    assert corrected_line(app.slack()[-1]) == "renewed.zip:renewed-2"


def test_a_line_that_carries_another_task(cloud: LocalCloud) -> None:
    app = cloud.app
    line = {"v": 1, "task": "classification", "version": 3, "job_id": "", "classes": ["a"]}
    app.put_blob("jobs", "lines/sorter.json", json.dumps(line).encode())
    message = deliver(app, '{"dataset":"no.zip","job_id":"other-task","line":"sorter"}')
    _, record = refusal(app, message)
    assert record["state"]["outcome"] == "rejected"
    answer = app.slack()[-1]
    assert "E19" in answer
    assert "line `sorter` carries classification models" in answer
    assert json.loads(corrected_line(answer))["line"] == "sorter-detection"
    deliver(app, corrected_line(answer))
    assert state(app, "other-task")["outcome"] == "none"
    expire(cloud)
    assert json.loads(app.blob("jobs", "lines/sorter.json") or b"") == line


def test_a_former_job_must_have_succeeded(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("parent.zip", zip_bytes)
    cloud.vms.work = QuickVm(status="failed")
    deliver(app, "parent.zip:parent-bad")
    run_until_closed(cloud, "parent-bad")
    deliver(app, "parent.zip:child::::::parent-bad")
    assert "E09" in app.slack()[-1]
    assert "`parent-bad` has not succeeded (failed)" in app.slack()[-1]
    corrected = corrected_line(app.slack()[-1])
    assert corrected == "parent.zip:child"
    cloud.vms.work = QuickVm()
    deliver(app, corrected)
    assert run_until_closed(cloud, "child")["state"]["outcome"] == "succeeded"


def test_a_folder_of_the_former_system_is_no_parent(cloud: LocalCloud) -> None:
    app = cloud.app
    share = app.shares_client.get_share_client("logs")
    share.create_directory("old-job")
    share.get_file_client("old-job/latest.pth").upload_file(b"x")
    deliver(app, "no.zip:of-old::::::old-job")
    assert "E09" in app.slack()[-1]
    assert "`old-job` is no job of this system" in app.slack()[-1]


def test_the_parent_and_its_split_are_handed_to_the_machine(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    app.put_zip("handed.zip", zip_bytes)
    vm = cloud.vms.work = QuickVm()
    deliver(app, "handed.zip:handed-1")
    run_until_closed(cloud, "handed-1")
    deliver(app, "handed.zip:Handed-2::::::HANDED-1")
    run_until_closed(cloud, "handed-2")
    first, second = vm.jobs
    assert "parent_checkpoint" not in first["links"]
    assert "/logs/handed-1/latest.pth?" in second["links"]["parent_checkpoint"]
    assert second["request"]["continue_from"] == "handed-1"


# Status.


def status(cloud: LocalCloud, job: str | None = None) -> str:
    """Ask for the status; what Slack and logs/status.txt say."""
    app = cloud.app
    asked = {"v": 1, "action": "status"} | ({"job_id": job} if job else {})
    before, told = set(records(app)), len(app.slack())
    deliver(app, json.dumps(asked))
    (text,) = app.slack()[told:]
    assert (app.file("logs", "status.txt") or b"").decode() == text
    assert set(records(app)) == before, "a question is no job"
    return text


def test_status_with_no_job(cloud: LocalCloud) -> None:
    assert status(cloud) == "Nothing is running, and nothing waits.\n"
    assert status(cloud, "status-none") == "There is no job `status-none`."
    assert cloud.app.host.outcomes[-1].error is None


def test_status_with_one_and_two_live_jobs(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("status.zip", zip_bytes)
    deliver(app, "status.zip:Status-One")
    turn_until(cloud, lambda: machine(app, "status-one") == "running")
    text = status(cloud)
    assert text.startswith("`Status-One`: running for ")
    assert "at the latest until " in text
    assert text == status(cloud, "STATUS-ONE") + "\n"
    deliver(app, "not-there-yet.zip:status-two")
    lines = status(cloud).splitlines()
    assert [line.split(":")[0] for line in lines] == ["`Status-One`", "`status-two`"]
    waits = "queued (E16 zip: `not-there-yet.zip` is not in share `train`) for "
    assert waits in lines[1]
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, "status-one")
    expire(cloud)
    text = status(cloud, "status-one")
    assert text.startswith("`Status-One`: succeeded, closed for ")
    assert "published as line `default` version " in text
    assert status(cloud, "status-two").startswith("`status-two`: rejected, closed for ")


def test_slack_that_is_down_holds_nothing_up(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    fault = cloud.faults.add(service="slack", status=500, times=None)
    app.put_zip("deaf.zip", zip_bytes)
    deliver(app, "deaf.zip:deaf")
    turn_until(cloud, lambda: "has succeeded" in result_text(app, "deaf.zip"))
    turn_until(cloud, lambda: not cloud.arm.groups())
    assert machine(app, "deaf") == "deleting", "closed only when people were told"
    assert state(app, "deaf")["model"] == "current"
    assert texts_about(app, "deaf") == []
    cloud.faults.remove(fault)
    turn_until(cloud, lambda: is_closed(app, "deaf"))
    told = [text.split(" ", 2)[2] for text in texts_about(app, "deaf")]
    assert told[0].startswith("is accepted")
    assert told[-1].startswith("has succeeded")
    puts = arm_calls(cloud, "PUT", "deaf-.*/deployments/")
    assert len(accepted(puts)) == 1, puts
