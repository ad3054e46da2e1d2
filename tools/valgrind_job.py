"""Takes the handler through one whole job and a refused message under valgrind.

Exit code 1 on any error or definite leak that valgrind reports, or when the job does not end as it
must.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from local.cloud import LocalCloud  # noqa: E402
from local.host import Options  # noqa: E402
from tests.e2e.helpers import records, run_until_closed, wait_for  # noqa: E402
from tests.e2e.quick import QuickVm  # noqa: E402

EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def app_root(folder: Path, log: Path) -> Path:
    """A copy of dist/ whose host.json starts the program under valgrind."""
    root = folder / "dist"
    shutil.copytree(ROOT / "dist", root)
    config = json.loads((root / "host.json").read_text(encoding="utf-8"))
    config["customHandler"]["description"] = {
        "defaultExecutablePath": "valgrind",
        "arguments": [
            "--quiet",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            "--trace-children=no",
            f"--log-file={log}",
            str(ROOT / "build" / "release" / "retrain"),
        ],
    }
    (root / "host.json").write_text(json.dumps(config), encoding="utf-8")
    return root


def main() -> int:
    """Run, stop the handler in order, and read valgrind's log."""
    folder = Path(tempfile.mkdtemp(prefix="valgrind-"))
    log = folder / "valgrind.log"
    try:
        with LocalCloud(dist=app_root(folder, log), options=Options(start_s=60)) as cloud:
            app = cloud.app
            cloud.vms.work = QuickVm()
            app.put_zip("a.zip", EMPTY_ZIP)
            app.send("a.zip:j1")
            app.send("a.tar.gz:j2:D8s")
            wait_for(lambda: len(records(app)) == 2, what="both messages to be taken")
            run_until_closed(cloud, "j1")
            outcome = app.record("j1")["state"]["outcome"]
            app.host.signal(15)
        found = log.read_text(encoding="utf-8", errors="replace") if log.exists() else "no log"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(found or f"valgrind: one job, {outcome}; no error, no definite leak")
    return 1 if found or outcome != "succeeded" else 0


if __name__ == "__main__":
    sys.exit(main())
