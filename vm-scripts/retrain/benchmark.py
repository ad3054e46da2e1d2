"""How fast a published file is: OpenVINO's own benchmark_app on this machine, in words of
milliseconds. What goes wrong here is a warning, never the end of a job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .files import read_json

# How long a run takes, about, and how many answers are enough and least.
RUN_MS, MOST, LEAST = 1000, 200, 10
# Which figure each round of runs is for. A second round of medians, where two models are compared:
# the machine may have had something else to do during the first.
ALONE, BESIDE = (50, 95), (50, 95, 50)
# benchmark_app without its launcher: several runs in one process.
PROGRAM = """
import json, sys
from openvino.tools.benchmark.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    main()
"""


class NoBenchmark(Exception):
    """benchmark_app did not do its work; the text says why."""


def benchmark(
    models: Mapping[str, Path],
    size: tuple[int, int],
    about_ms: float,
    folder: Path,
    limit_s: float,
) -> dict[str, Any]:
    """Two or three runs of at most about a second each, the models in turns, on pictures of
    ``size`` (width, height): benchmark.json.

    ``models``: xml files by name; ``about_ms``: what an answer takes, more or less. Raises
    ``NoBenchmark``.
    """
    width, height = size
    shape = f"[1,{height},{width},3]"
    runs: list[list[str]] = []
    answers = min(max(int(RUN_MS / max(about_ms, 0.1)), LEAST), MOST)
    rounds = BESIDE if len(models) > 1 else ALONE
    for turn, percentile in enumerate(rounds):
        for name, xml in models.items():
            place = folder / f"{name}-{turn}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            runs.append(_arguments(xml, shape, answers, percentile, place))
    try:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(runs)],
            env={**os.environ, "OPENVINO_TELEMETRY": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(limit_s, 1.0),
        )
    except (subprocess.TimeoutExpired, OSError) as problem:
        raise NoBenchmark(f"benchmark_app ({type(problem).__name__})") from None
    try:
        measured = {name: _latencies(folder, name, rounds) for name in models}
    except (OSError, ValueError, KeyError, StopIteration):
        said = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip().splitlines()
        said = [line for line in said if "ERROR" in line] or said or [f"code {ran.returncode}"]
        raise NoBenchmark(f"benchmark_app, which gave no figures: {said[-1][:200]}") from None
    return {"v": 1, "tool": "benchmark_app", "shape": [1, height, width, 3], **measured}


def _arguments(xml: Path, shape: str, answers: int, percentile: int, place: Path) -> list[str]:
    pairs = {
        "-m": xml, "-d": "CPU", "-data_shape": shape, "-niter": answers, "-hint": "latency",
        "-latency_percentile": percentile, "-report_type": "no_counters", "-report_folder": place,
    }  # fmt: skip
    return [str(part) for pair in pairs.items() for part in pair] + ["-json_stats"]


def _latencies(folder: Path, name: str, rounds: Sequence[int]) -> dict[str, float]:
    """The lowest of each figure over its rounds."""
    answer: dict[str, float] = {}
    for turn, percentile in enumerate(rounds):
        report = read_json(folder / f"{name}-{turn}" / "benchmark_report.json")
        rows = report["execution_results"]
        latency = float(next(rows[key] for key in rows if key.startswith("latency (")))
        for key, value in ((f"p{percentile}_ms", latency), ("mean_ms", float(rows["avg latency"]))):
            answer[key] = min(value, answer.get(key, value))
    return answer
