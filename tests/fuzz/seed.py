"""Writes the first inputs of each corpus from the vectors and golden files of the tests.

Usage: seed.py; inputs that fuzzing has found beside them stay.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
MESSAGES = (
    "annotated.zip",
    "screws-0412.zip:screws-0412:Standard_D8s_v4:ok,scratch,dent:20:2:1:nothing",
    "a.zip::::30",
    "a.zip：j1：Standard_D8s_v4：ok，ng：２０",
    "Z:\\train\\a.zip:j1",
    "https://x/a.zip",
    "../../etc/a.zip",
    "$(reboot).zip:j1",
    "a:b:c:d:e:f:g:h:i:j",
    '{"v":1,"dataset":"a.zip","epoch":3}',
    '{"v":1,"action":"status","job_id":"j1"}',
    '{"v":1,"action":"train","dataset":"a.zip","classes":["ok"],"split":{"train":0.7,"seed":1,"group":"video"}}',
    '{"v":1,"action":"cancel","job_id":"J1"}',
    '{"v":1,"action":"extend","job_id":"j1","max_hours":12}',
    '{"v":1,"action":"retry","job_id":"j1"}',
    '{"v":1,"action":"cancle","job_id":"j1","max_hours":3}',
    '{"v":1,"dataset":"a.zip","vm_sizes":["Standard_D8s_v5","standard_D8s_v4"],"vm_size":"D8s"}',
    '{"v":1,"dataset":"a.zip","regions":["Japan East","japanwest"],"spot":"prefer","force":true}',
    base64.b64encode("写真 1.zip".encode()).decode(),
    '{"v":1,"dataset":"a.zip","publish":"never","line":"screws"}',
)
CONNECTIONS = (
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey="
    + "A" * 86
    + "==;EndpointSuffix=core.windows.net",
    "UseDevelopmentStorage=true",
    "BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:2/a;FileEndpoint=http://127.0.0.1:3/a;AccountName=a;AccountKey=YQ==",
    "BlobEndpoint=https://a.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x",
    ' "accountname = a ; accountkey=YQ==;;" ',
)
XML = (
    '<?xml version="1.0"?><Error><Code>BlobNotFound</Code><Message>no &amp; none</Message></Error>',
    "<EnumerationResults><Blobs><Blob><Name>live/j1</Name><Properties><Etag>0x1</Etag></Properties></Blob></Blobs><NextMarker/></EnumerationResults>",
    '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
)


def put(corpus: str, name: str, data: bytes) -> None:
    """Write one input."""
    folder = HERE / "corpus" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def main() -> None:
    """Write all first inputs."""
    for i, text in enumerate(MESSAGES):
        put("message", f"seed-{i:02}", text.encode())
        once, plain = json.dumps(text), base64.b64encode(text.encode()).decode()
        for kind, data in (("binary", plain), ("twice", once), ("once", text)):
            body = {"Data": {"message": data}, "Metadata": {"Id": '"x"', "DequeueCount": "1"}}
            put("invocation", f"seed-{i:02}-{kind}", json.dumps(body, ensure_ascii=False).encode())
    for i, text in enumerate(CONNECTIONS):
        put("connection", f"seed-{i:02}", text.encode())
    for i, text in enumerate(XML):
        put("xml", f"seed-{i:02}", text.encode())
    for sample in json.loads((TESTS / "vectors" / "arm_errors.json").read_text(encoding="utf-8")):
        body = sample["body"]
        put(
            "arm_error",
            sample["id"],
            (body if isinstance(body, str) else json.dumps(body)).encode(),
        )
    put("record", "record.v1", (TESTS / "golden" / "record.v1.json").read_bytes())
    report = {
        "v": 1,
        "job_id": "j1",
        "attempt": 1,
        "status": "failed",
        "stage": "train",
        "exit_code": 3,
        "log": ["x"],
    }
    put("record", "report", json.dumps(report).encode())
    status = {"v": 1, "beat_s": 1767225600}
    put("record", "status", json.dumps(status).encode())
    files = [{"name": n, "size": 1, "sha256": "0" * 64} for n in ("model.bin", "model.xml")]
    manifest = {
        "v": 1, "job_id": "j1", "attempt": 1, "line": "default", "task": "detection",
        "classes": ["ok"],
        "files": files, "metrics": {"primary": "map", "value": 0.5, "images": 3},
    }  # fmt: skip
    put("record", "manifest", json.dumps(manifest).encode())
    names = ("class", "images", "new", "current")
    rows = [("ok", 20, 0.7, 0.69), ("dent", 12, 0.61, 0.69), ("rust", 0, None, None)]
    gate = {
        "images": 40, "new": 0.712, "current": 0.695, "current_version": 7,
        "difference_sd": 0.004, "floor": 0.05,
        "per_class": [dict(zip(names, row, strict=True)) for row in rows],
        "latency_ms": {"new": 3.1, "current": 3.0}, "size_bytes": {"new": 123, "current": 120},
    }  # fmt: skip
    put("record", "manifest-gate", json.dumps(manifest | {"baseline": 7, "gate": gate}).encode())
    alone = gate | {"images": 6, "current": None, "not_comparable": "6 images are not enough"}
    put("record", "manifest-alone", json.dumps(manifest | {"baseline": 7, "gate": alone}).encode())


if __name__ == "__main__":
    main()
