"""Blob, Files, queue and IMDS in one small server, strict about what it is sent.

It stands in for the services in tests of vm-scripts only. Whatever a call does wrong (a header
missing, a size that does not fit, a link used for what it does not allow) is answered 400 or 403
and noted in ``faults``, which each test expects to be empty.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

PREEMPT = (
    b'{"DocumentIncarnation":2,"Events":[{"EventId":"1","EventType":"Preempt","ResourceType":'
    b'"VirtualMachine","Resources":["train-vm"],"EventStatus":"Scheduled","NotBefore":'
    b'"Mon, 19 Sep 2026 18:29:47 GMT","Description":"","EventSource":"Platform",'
    b'"DurationInSeconds":-1}]}'
)
SENTINEL = "S3ntinelSignature%2Bnever%2Fshown%3D"
MACHINE = "11111111-2222-3333-4444-555555555555"


@dataclass
class Call:
    """One request as it came, without its query's signature."""

    method: str
    path: str
    comp: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Cloud:
    """The server's state. ``blobs`` and ``files`` by path; ``refuse`` may answer a call instead."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytearray] = field(default_factory=dict)
    bells: list[bytes] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refuse: Callable[[Call], int | None] = lambda call: None
    etag: str = '"0x1"'
    machine: str = MACHINE
    events: bytes = b'{"DocumentIncarnation":1,"Events":[]}'
    url: str = ""

    def paths(self, method: str) -> list[str]:
        """Paths of all calls with a method, in order."""
        return [call.path for call in self.calls if call.method == method]

    def link(self, path: str, permissions: str) -> str:
        """A link with a signature that must never be seen again."""
        safe = quote(path)
        return f"{self.url}{safe}?sv=2025-07-05&sp={permissions}&sig={SENTINEL}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def log_message(self, *_: object) -> None:
        return

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fault(self, status: int, text: str) -> None:
        self.cloud.faults.append(f"{self.command} {urlsplit(self.path).path}: {text}")
        self._answer(status)

    def _serve(self) -> None:
        cloud = self.cloud
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        headers = {k.lower(): v for k, v in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        path = unquote(parts.path)
        call = Call(self.command, path, query.get("comp", ""), headers, body)
        cloud.calls.append(call)
        status = cloud.refuse(call)
        if status is not None:
            self._answer(status)
        elif path.startswith("/metadata/"):
            wrong = headers.get("metadata") != "true"
            answer = cloud.events if path.endswith("/scheduledevents") else cloud.machine.encode()
            self._fault(400, "no Metadata header") if wrong else self._answer(200, answer)
        elif query.get("sig") != unquote(SENTINEL):
            self._fault(403, "no signature")
        elif headers.get("x-ms-version") != "2025-07-05":
            self._fault(400, "no x-ms-version")
        else:
            kind = path.split("/")[1]
            serve = {"blob": self._blob, "file": self._file, "queue": self._queue}[kind]
            serve(call, query.get("sp", ""))

    do_GET = do_PUT = do_POST = _serve

    def _blob(self, call: Call, allowed: str) -> None:
        blobs = self.cloud.blobs
        if call.method == "GET":
            if "r" not in allowed:
                return self._fault(403, "not to be read")
            data = blobs.get(call.path)
            return self._answer(404) if data is None else self._answer(200, data)
        if call.headers.get("x-ms-blob-type") != "BlockBlob":
            return self._fault(400, "no x-ms-blob-type")
        if call.path in blobs:
            if "w" not in allowed:  # judged first, whatever the condition says
                code = {"x-ms-error-code": "UnauthorizedBlobOverwrite"}
                return self._answer(403, headers=code)
            if call.headers.get("if-none-match") == "*":
                return self._answer(409, headers={"x-ms-error-code": "BlobAlreadyExists"})
        blobs[call.path] = call.body
        return self._answer(201)

    def _file(self, call: Call, allowed: str) -> None:
        files = self.cloud.files
        if call.method == "GET":
            return self._read_file(call, allowed)
        if "w" not in allowed:
            return self._fault(403, "not to be written")
        if call.comp != "range":
            if call.headers.get("x-ms-type") != "file" or call.body:
                return self._fault(400, "Create File has x-ms-type and no body")
            files[call.path] = bytearray(int(call.headers["x-ms-content-length"]))
            return self._answer(201)
        if call.headers.get("x-ms-write") != "update" or len(call.body) > 4 << 20:
            return self._fault(400, "Put Range has x-ms-write and at most 4 MiB")
        first, last = (int(v) for v in call.headers["x-ms-range"].split("=")[1].split("-"))
        if len(call.body) != last - first + 1 or last >= len(files[call.path]):
            return self._fault(400, "the range does not fit")
        files[call.path][first : last + 1] = call.body
        return self._answer(201)

    def _read_file(self, call: Call, allowed: str) -> None:
        if "r" not in allowed:
            return self._fault(403, "not to be read")
        data = self.cloud.files.get(call.path)
        if data is None:
            return self._answer(404)
        headers = {"ETag": self.cloud.etag}
        wanted = call.headers.get("x-ms-range")
        if not wanted:
            return self._answer(200, bytes(data), headers)
        first, last = (int(v) for v in wanted.split("=")[1].split("-"))
        if first >= len(data):
            return self._answer(416)
        part = bytes(data[first : last + 1])
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        return self._answer(206, part, headers)

    def _queue(self, call: Call, allowed: str) -> None:
        if call.method != "POST" or "a" not in allowed or b"<QueueMessage>" not in call.body:
            return self._fault(400, "only Put Message is allowed")
        self.cloud.bells.append(call.body)
        return self._answer(201)


class Server:
    """``with Server() as cloud:`` a running stub on a free port."""

    def __enter__(self) -> Cloud:
        cloud = Cloud()
        handler = type("Handler", (_Handler,), {"cloud": cloud})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        cloud.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return cloud

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


CHECKPOINT = {
    "ckpt": "ckpt.json",
    "last_0": "last.0.pth",
    "last_1": "last.1.pth",
    "best_0": "best.0.pth",
    "best_1": "best.1.pth",
}


def kept(attempt: int) -> str:
    """What the names of checkpoints on the share begin with, when each attempt but the last was
    evicted."""
    return "" if attempt == 1 else f"run-{attempt}."


def job_document(cloud: Cloud, zip_path: Path, **changes: Any) -> dict[str, Any]:
    """A job.json for ``zip_path``, which is put on the stub's share; ``changes`` go to request.

    ``trainer``, ``attempt``, ``baseline`` and ``times`` among the changes replace the top-level
    values; ``links`` adds links.
    """
    now = int(time.time())
    attempt = changes.pop("attempt", 1)
    job_id = changes.pop("job_id", "job-a")
    name = zip_path.name
    data = zip_path.read_bytes()
    cloud.files[f"/file/train/{name}"] = bytearray(data)
    out = f"/blob/job-files/out/{job_id}/{attempt}"
    logs = f"/file/logs/{job_id}"
    outputs = ["model.bin", "model.xml", "labels.json", "split.json", "metrics.json", "sample.png"]
    links = {
        "zip": cloud.link(f"/file/train/{name}", "r"),
        "scripts": cloud.link("/blob/job-files/scripts/x.tar.gz", "r"),
        "claim": cloud.link(f"/blob/job-files/claim/{job_id}/{attempt}", "rc"),
        "status": cloud.link(f"/blob/job-files/status/{job_id}/{attempt}.json", "cw"),
        "out_manifest": cloud.link(f"{out}/manifest.json", "c"),
        "control": cloud.link(f"/blob/job-files/control/{job_id}.json", "r"),
        "out_report": cloud.link(f"{out}/report.json", "c"),
        "bell": cloud.link("/queue/delete-resources/messages", "a"),
    }
    for file_name in outputs:
        key = file_name if file_name.startswith("model.") else file_name.split(".")[0]
        links["out_" + key.replace(".", "_")] = cloud.link(f"{out}/{file_name}", "cw")
    log_files = {
        "train": "train.log",
        "metrics": "metrics.json",
        "split": "split.json",
        "result": "result.json",
        "latest": "latest.pth",
    }
    for key, file_name in log_files.items():
        links["log_" + key] = cloud.link(f"{logs}/{file_name}", "rcw")
    for key, file_name in CHECKPOINT.items():
        links["log_" + key] = cloud.link(f"{logs}/{kept(attempt)}{file_name}", "rcw")
        for ago in range(1, min(attempt, 4)):
            path = f"{logs}/{kept(attempt - ago)}{file_name}"
            links[f"former_{ago}_{key}"] = cloud.link(path, "r")
    times = {
        "accepted_s": now,
        "started_s": now,
        "train_until_s": now + 3600,
        "deadline_s": now + 4200,
        "hard_stop_s": now + 7200,
    }
    times |= changes.pop("times", {})
    links |= changes.pop("links", {})
    top = {key: changes.pop(key) for key in ("trainer", "baseline") if key in changes}
    request = {
        "zip": name,
        "dataset_sha256": None,
        "classes": None,
        "epochs": 20,
        "task": "detection",
        "model": "tiny",
        "input_size": 0,
        "pretrained": True,
        "continue_from": None,
        "line": "default",
        "max_hours": 8,
        "split": {"train": 0.7, "seed": 1, "group": "none"},
        "requested_by": None,
        "note": None,
    }
    return {
        "v": 1,
        "job_id": job_id,
        "job_name": job_id,
        "attempt": attempt,
        "trainer": "tiny",
        "request": request | changes,
        "vm_size": "Standard_D8s_v4",
        "zip": {"size": len(data), "etag": cloud.etag},
        "baseline": None,
        "scripts_sha256": "0" * 64,
        "times": times,
        "links": links,
        **top,
    }


SHOWN = {
    "log_curve": "training_curve.png",
    "log_quality": "quality.png",
    "log_worst": "worst_images.png",
    "log_benchmark": "benchmark.json",
}


def shown_links(cloud: Cloud, job_id: str = "job-a") -> dict[str, str]:
    """Links to what people look at; without them it is not made, which is quicker."""
    return {link: cloud.link(f"/file/logs/{job_id}/{name}", "rcw") for link, name in SHOWN.items()}


def current_links(cloud: Cloud, folder: str) -> dict[str, str]:
    """Links to the line's current model, which is in a folder of the stub's blobs."""
    names = ("manifest.json", "model.xml", "model.bin", "labels.json", "split.json")
    return {
        "current_" + name.removeprefix("model.").split(".")[0]: cloud.link(folder + name, "r")
        for name in names
    }


def write_home(home: Path, document: dict[str, Any]) -> Path:
    """An attempt's folder with job.json in it, as far as Python needs it."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "job.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return home
