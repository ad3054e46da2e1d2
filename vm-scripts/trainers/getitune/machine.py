"""Sizes of batches and numbers of workers that this machine and this set of pictures can bear."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
RESERVED = 3 << 30
"""Memory of the program itself, its libraries loaded and a network made."""
VALUES_PER_PIXEL = 150
"""Activations that training keeps, per value of a picture; from runs of the models in the table."""
STEPS_PER_EPOCH = 8
"""At least so many, or a small set learns nothing in its epochs."""
LEAST_BATCH = {"classification": 16}
"""Of a small set, by task (else 4): from scratch, the statistics that batch normalisation keeps of
few pictures differ from batch to batch, and so do the answers of a classifier."""
WORKER_MEMORY = 1536 * MIB


@dataclass(frozen=True)
class Machine:
    """``memory``: bytes that can be had where the network is trained; ``main_memory``: of the CPU;
    ``device``: as getitune names it."""

    cores: int
    memory: int
    main_memory: int
    device: str


@dataclass(frozen=True)
class Loads:
    """How pictures are loaded: so many at once, by so many workers (0: by the program itself)."""

    batch: int
    workers: int


def main_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that can still be had."""
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 4 << 30


def cores() -> int:
    """Those that this program may use."""
    return len(os.sched_getaffinity(0))


def loads(machine: Machine, task: str, images: int, wanted: int, size: tuple[int, int]) -> Loads:
    """``wanted``: the batch of the recipe, the most there will be; ``images`` to train on."""
    picture = 3 * size[0] * size[1] * 4 * VALUES_PER_PIXEL
    fitting = max(machine.memory - RESERVED, 0) // picture
    most = min(wanted, fitting, max(LEAST_BATCH.get(task, 4), images // STEPS_PER_EPOCH))
    batch = 2
    while batch * 2 <= most:
        batch *= 2
    if machine.cores <= 2:
        return Loads(batch, 0)
    spare = max(machine.main_memory - RESERVED, 0) // 2
    return Loads(batch, int(min(8, machine.cores // 2, spare // WORKER_MEMORY)))
