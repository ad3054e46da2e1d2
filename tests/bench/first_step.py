"""From the boot script to the first training step, on the `tiny` path in process mode.

Once as on a plain machine, whose environment is made from packages that are at hand, and once as
with an image of one's own, which has it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
import uuid
from pathlib import Path
from typing import Any

from local.cloud import LocalCloud
from local.paths import UV_CACHE
from tests.e2e.helpers import deliver, run_until_closed
from tests.vm import fixtures

LIMIT_S = 5.0
REAL_S = 180.0


def rows(dist: Path) -> list[tuple[str, bool]]:
    """What to print, and whether the bound holds."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        archive, brought = folder / "a.zip", folder / "brought"
        fixtures.cvat_zip(archive, 40)
        data = archive.read_bytes()
        _prepare(dist, brought)
        with LocalCloud(dist=dist) as cloud:
            _measure(cloud, data)  # the packages are at hand from here on
            plain = _measure(cloud, data)
            cloud.vms.brought = brought
            image = _measure(cloud, data)
    return [
        (_words("without an image", plain), True),
        (f"{_words('with an image', image)}; below {LIMIT_S:g} s", _of(image) < LIMIT_S),
    ]


def _prepare(dist: Path, brought: Path) -> None:
    """Do what vm-scripts/image/prepare does on a machine, without the machine."""
    archive, scripts, state = dist / "vm-scripts.tar.gz", brought / "scripts", brought / "state"
    with tarfile.open(archive) as packed:
        packed.extractall(scripts, filter="data")
    state.mkdir()
    (state / "scripts").write_text(hashlib.sha256(archive.read_bytes()).hexdigest())
    environment = {**os.environ, "UV_CACHE_DIR": str(UV_CACHE), "UV_COMPILE_BYTECODE": "1"}
    subprocess.run([scripts / "environment", brought, "runner"], env=environment, check=True)
    python = brought / "venv-runner" / "bin" / "python"
    subprocess.run([python, "-m", "compileall", "-q", scripts], check=True)


def _measure(cloud: LocalCloud, data: bytes) -> dict[str, Any]:
    """One job; its result.json."""
    job = f"first-{uuid.uuid4().hex[:6]}"
    cloud.app.put_zip(f"{job}.zip", data)
    deliver(cloud.app, json.dumps({"dataset": f"{job}.zip", "job_id": job, "epochs": 3}))
    record = run_until_closed(cloud, job, deadline_s=REAL_S)
    assert record["state"]["outcome"] == "succeeded", record["trouble"]
    return dict(json.loads(cloud.app.file("logs", f"{job}/result.json") or b"{}"))


def _of(result: dict[str, Any]) -> float:
    return float(result["to_first_step_s"])


def _words(how: str, result: dict[str, Any]) -> str:
    steps = ", ".join(f"{step['stage']} {step['seconds']:.2f}" for step in result["steps"])
    return f"boot script to first training step {how}: {_of(result):.2f} s ({steps})"
