"""A VM that does at once what the real one does in 15 seconds: for tests of everything around it.

`cloud.vms.work = QuickVm(...)` makes each VM that boots afterwards run it.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.vm import VirtualMachine

FILES = {
    "model.bin": "out_model_bin",
    "model.xml": "out_model_xml",
    "labels.json": "out_labels",
    "split.json": "out_split",
    "metrics.json": "out_metrics",
    "sample.png": "out_sample",
}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Cut(Exception):
    """The VM's power is cut."""


@dataclass
class QuickVm:
    """Claims, beats, uploads a small model and its manifest, reports and rings.

    status    -- what the report says; only "succeeded" uploads a model
    reason    -- the report's reason
    model, report, bell -- False leaves that part out
    hold      -- when given, the VM works (claimed, one beat) until it is set
    uploaded  -- called with the VM after the manifest is there and before report and bell
    after     -- called with the VM when all is done
    change    -- called with the manifest before it is uploaded
    jobs      -- the job.json of every VM that claimed, as they came
    """

    status: str = "succeeded"
    reason: str = "one sentence"
    model: bool = True
    report: bool = True
    bell: bool = True
    hold: threading.Event | None = None
    uploaded: Callable[[QuickVm, VirtualMachine], None] | None = None
    after: Callable[[QuickVm, VirtualMachine], None] | None = None
    change: Callable[[dict[str, Any]], Any] | None = None
    jobs: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, vm: VirtualMachine) -> None:
        """Run; never raises: what went wrong stands in the VM's lines."""
        try:
            self._run(vm)
        except Cut:
            vm.lines.append("quick: the power was cut")
        except (OSError, KeyError, ValueError) as error:
            vm.lines.append(f"quick: {type(error).__name__}: {error}")

    def _run(self, vm: VirtualMachine) -> None:
        job = json.loads((vm.home / "job.json").read_bytes())
        claimed = put(job["links"]["claim"], vm.spec.vm_id.encode(), {"If-None-Match": "*"})
        if claimed != 201:
            vm.lines.append(f"quick: the claim is taken ({claimed})")
            return
        self.jobs.append(job)
        beat(vm, job)
        while self.hold is not None and not self.hold.is_set():
            if vm.power() != "running" or dead(vm):
                raise Cut
            time.sleep(0.02)
        if self.status == "succeeded" and self.model:
            self.upload(vm, job)
            log_file(job, "log_latest", f"checkpoint of {job['job_id']}".encode())
        if self.uploaded is not None:
            self.uploaded(self, vm)
        if self.report:
            self.send_report(job)
        if self.bell:
            ring(vm)
        if self.after is not None:
            self.after(self, vm)

    def upload(self, vm: VirtualMachine, job: dict[str, Any]) -> dict[str, Any]:
        """Upload files and manifest; the manifest."""
        contents = {name: f"{name} of {job['job_id']}".encode() for name in FILES}
        for name, link in FILES.items():
            expect(put(job["links"][link], contents[name]), 201, name)
        made = manifest(job, contents)
        if self.change is not None:
            self.change(made)
        data = json.dumps(made).encode()
        expect(put(job["links"]["out_manifest"], data, {"If-None-Match": "*"}), 201, "manifest")
        return made

    def send_report(self, job: dict[str, Any]) -> None:
        """Write report.json."""
        failed = self.status != "succeeded"
        report = {
            "v": 1,
            "job_id": job["job_id"],
            "attempt": job["attempt"],
            "status": self.status,
            "stage": "train" if failed else "upload",
            "exit_code": int(failed),
            "reason": self.reason,
            "log": ["first line", "last line"],
            "finished_s": 0,
        }
        data = json.dumps(report).encode()
        expect(put(job["links"]["out_report"], data, {"If-None-Match": "*"}), 201, "report")


def manifest(job: dict[str, Any], contents: dict[str, bytes]) -> dict[str, Any]:
    """A manifest for `contents`."""
    return {
        "v": 1,
        "job_id": job["job_id"],
        "attempt": job["attempt"],
        "line": job["request"]["line"],
        "task": job["request"]["task"],
        "classes": job["request"]["classes"] or ["ok", "dent"],
        "baseline": job["baseline"],
        "files": [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in contents.items()
        ],
        "io": {"input": {}, "outputs": [], "threshold": 0.3},
        "min_openvino": "2024.6",
        "metrics": {"primary": "map", "value": 0.71, "images": 12, "per_class": {}},
        "gate": gate(job["baseline"]),
        "sample": {"image": "sample.png", "expected": []},
        "lineage": {"zip": job["request"]["zip"], "images_train": 28, "epochs_done": 20},
    }


def gate(
    baseline: int | None,
    *,
    new: float = 0.71,
    current: float = 0.6,
    images: int = 40,
    floor: float = 0.05,
    per_class: Sequence[tuple[str, int, float, float]] = (),
) -> dict[str, Any]:
    """A manifest's gate block; as it is, better than whatever there was."""
    compared = baseline is not None
    return {
        "images": images,
        "new": new,
        "current": current if compared else None,
        "current_version": baseline,
        "difference_sd": 0.004 if compared else None,
        "floor": floor,
        "per_class": [
            {"class": name, "images": n, "new": now, "current": before if compared else None}
            for name, n, now, before in per_class
        ],
        "latency_ms": {"new": 3.1, "current": 3.0 if compared else None},
        "size_bytes": {"new": 9000, "current": 9000 if compared else None},
    }


def beat(vm: VirtualMachine, job: dict[str, Any], stage: str = "train") -> None:
    """Write the status once."""
    status = {
        "v": 1,
        "job_id": job["job_id"],
        "attempt": job["attempt"],
        "boot_id": "b",
        "beat_s": int(vm._clock.now()),
        "stage": stage,
        "since_s": int(vm._clock.now()),
        "epoch": 1,
        "epochs": job["request"]["epochs"],
        "metric": None,
    }
    expect(put(job["links"]["status"], json.dumps(status).encode()), 201, "status")


def log_file(job: dict[str, Any], link: str, data: bytes) -> None:
    """Write a file of share `logs` by its link."""
    url = job["links"][link]
    size = {"x-ms-type": "file", "x-ms-content-length": str(len(data))}
    expect(send("PUT", url, b"", size), 201, link)
    place = {"x-ms-range": f"bytes=0-{len(data) - 1}", "x-ms-write": "update"}
    expect(send("PUT", f"{url}&comp=range", data, place), 201, link)


def ring(vm: VirtualMachine) -> None:
    """Put the VM's own bell message."""
    url = (vm.home / "values" / "bell_url").read_text(encoding="utf-8").strip()
    body = (vm.home / "values" / "bell_body").read_bytes()
    expect(send("POST", url, body, {"Content-Type": "application/xml"}), 201, "bell")


def put(url: str, data: bytes, headers: dict[str, str] | None = None) -> int:
    """Write a block blob by its link; the status."""
    return send("PUT", url, data, {"x-ms-blob-type": "BlockBlob", **(headers or {})})


def send(method: str, url: str, data: bytes, headers: dict[str, str]) -> int:
    """Send a request as a VM would; the status."""
    request = urllib.request.Request(url, data=data, method=method)
    for name, value in {"x-ms-version": "2025-07-05", **headers}.items():
        request.add_header(name, value)
    try:
        with _OPENER.open(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)


def expect(status: int, wanted: int, what: str) -> None:
    """Raise ValueError when a request was not answered as wanted."""
    if status != wanted:
        raise ValueError(f"{what}: {status} instead of {wanted}")


def dead(vm: VirtualMachine) -> bool:
    """Its power was cut."""
    return vm._dead.is_set()
