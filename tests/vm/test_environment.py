"""The trainer's own Python environment: made beside the other work, chosen, and when it fails."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from retrain import environment
from retrain.environment import Environment
from retrain.failure import Failure

from tests.vm import stub
from tests.vm.conftest import report_of, run_python
from tests.vm.stub import Cloud
from tests.vm.test_run import LOGS, OUT, attempt, scripts_with

MAKES = f"""#!/bin/bash
echo "made for $2" >&2
mkdir -p "$1/venv-$2/bin"
printf '#!/bin/sh\\necho own environment\\nexec {sys.executable} "$@"\\n' >"$1/venv-$2/bin/python"
chmod +x "$1/venv-$2/bin/python"
"""
FAILS = "#!/bin/bash\necho 'no network' >&2\nexit 2\n"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with stub.Server() as cloud:
        yield cloud
        assert cloud.faults == []


def scripts(folder: Path, program: str, code: str = "sys.exit(tiny(path))") -> Path:
    """The scripts with the trainer `puppet`, which has a list of its own."""
    tree = scripts_with(folder, code)
    (tree / "locks/puppet.txt").write_text("x==1\n")
    (tree / "environment").write_text(program)
    (tree / "environment").chmod(0o755)
    return tree


def made(folder: Path, tree: Path, trainer: str) -> Environment:
    return Environment(folder, tree, trainer, logging.getLogger("test"), folder / "log")


def test_a_trainer_without_a_list_runs_in_the_runners(tmp_path: Path) -> None:
    for name in ("tiny", "../puppet", ""):
        own = made(tmp_path, scripts(tmp_path / f"s{len(name)}", FAILS), name)
        own.start()
        assert own.python() == Path(sys.executable)


def test_a_trainer_with_a_list_runs_in_its_own(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud, trainer="puppet", epochs=1)
    assert run_python(home, scripts(tmp_path, MAKES)) == 0, report_of(home)
    log = (home / "state/train.log").read_text()
    assert "made for puppet" in log
    assert log.count("own environment") == 2, "to train and to export"


def test_an_environment_that_cannot_be_made(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud, trainer="puppet")
    assert run_python(home, scripts(tmp_path, FAILS)) == 1
    report = report_of(home)
    assert (report["status"], report["stage"]) == ("failed", "train")
    assert "the Python environment of trainer `puppet` could not be made" in report["reason"]
    assert "no network" in (home / "state/train.log").read_text()


def test_the_data_is_read_while_it_is_made(tmp_path: Path, cloud: Cloud) -> None:
    """It is ready only when the split is there, so one cannot wait for the other."""
    waits = MAKES.replace(
        "mkdir", "while [[ ! -e $1/work/out/split.json ]]; do sleep 0.05; done\nmkdir", 1
    )
    home, _ = attempt(tmp_path, cloud, trainer="puppet", epochs=1)
    assert run_python(home, scripts(tmp_path, waits)) == 0, report_of(home)


def test_it_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LIMIT_S", 0.2)
    own = made(tmp_path, scripts(tmp_path, "#!/bin/bash\nsleep 600\n"), "puppet")
    own.start()
    with pytest.raises(Failure, match="could not be made"):
        own.python()


def test_it_ends_with_a_job_that_ends_before(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud, trainer="puppet", classes=["other"])
    tree = scripts(tmp_path, '#!/bin/bash\necho $$ >"$1/pid"\nexec sleep 600\n')
    assert run_python(home, tree) == 2
    pid = home / "pid"
    assert not pid.exists() or not Path(f"/proc/{pid.read_text().strip()}").exists()


# --- a training whose export dies -----------------------------------------------------------------

DIES = """
if job["step"] == "export":
    print("torch.onnx: no such operator", flush=True)
    sys.exit(1)
sys.exit(tiny(path))
"""


def test_an_export_that_dies_publishes_nothing_and_keeps_the_training(
    tmp_path: Path, cloud: Cloud
) -> None:
    """It trained and measured well; the checkpoint is there for a later job."""
    home, _ = attempt(tmp_path, cloud, trainer="puppet")
    assert run_python(home, scripts(tmp_path, MAKES, DIES)) == 4
    report = report_of(home)
    assert (report["status"], report["stage"]) == ("failed", "export")
    assert OUT + "manifest.json" not in cloud.blobs
    index = json.loads(bytes(cloud.files[LOGS + "ckpt.json"]))
    kept = bytes(cloud.files[LOGS + index["best"]["name"]])
    assert len(kept) == index["best"]["size"]
    assert index["epoch"] == 2
