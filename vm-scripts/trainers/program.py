"""What every trainer's program does alike: read the train job, do its step, write result.json.

Exit codes: 0 ok, 2 bad data, 3 training, 4 export, 5 out of time before there was anything to
export. The contract is in ``vm-scripts/README.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain.files import read_json, write_json

BAD_DATA, TRAINING, EXPORT, OUT_OF_TIME = 2, 3, 4, 5
FAILURE_CODES = {"train": TRAINING, "export": EXPORT}


class Refused(Exception):
    """Ends the program with an exit code and a sentence for the result."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass
class Job:
    """The train job as read."""

    raw: dict[str, Any]
    out: Path
    warnings: list[str]

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the head."""
        return list(self.raw["classes"])

    @property
    def identity(self) -> dict[str, Any]:
        """What ``checkpoints.save`` is told of whose checkpoint it is."""
        return {key: self.raw.get(key) for key in ("job_id", "attempt", "images")}

    def warn(self, text: str) -> None:
        """Something people should know; in the log and in the result."""
        self.warnings.append(text)
        print(text, flush=True)


Step = Callable[[Job], dict[str, Any]]


class Clock:
    """When to stop; looks whether more time was given before it says that it is over."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._until = float(raw["train_until_s"])
        self._file = Path(raw["until_file"]) if raw.get("until_file") else None

    def in_time(self) -> bool:
        """Whether training may go on."""
        now = time.time()
        if now >= self._until and self._file:
            self._until = max(self._until, float(read_json(self._file)["train_until_s"]))
        return now < self._until


def run(path: Path, trainer: Mapping[str, str], steps: Mapping[str, Step]) -> int:
    """Do the train job at ``path``; the exit code. ``trainer``: its name and version."""
    raw = read_json(path)
    job = Job(raw, Path(raw["out"]), [])
    job.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {
        "v": 1,
        "status": "ok",
        "stage": raw["step"],
        "reason": None,
        "trainer": dict(trainer),
        "warnings": job.warnings,
    }
    try:
        result |= steps[raw["step"]](job)
        code = 0
    except Refused as refusal:
        code, result["status"], result["reason"] = refusal.code, "failed", str(refusal)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        code, result["status"] = FAILURE_CODES[raw["step"]], "failed"
        result["reason"] = f"{type(error).__name__}: {error}"
    write_json(job.out / "result.json", result)
    return code
