"""The moved clock: one offset, for the stand-ins in this process and, preloaded, for children."""

from __future__ import annotations

import mmap
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("moved_clock.c")
COMPILE = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]


class Clock:
    """Wall clock time of the local cloud: the machine's own plus an offset that only grows.

    The monotonic clock is not moved: time-outs and sleeps keep their real length.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the offset, and the library that children load, below `folder`, which must exist.

        Raises FileNotFoundError without a C compiler.
        """
        self._library = folder / "moved_clock.so"
        subprocess.run([*COMPILE, "-o", self._library, SOURCE], check=True)
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        with self._file.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)
        self._lock = threading.Lock()
        self._offset_ns = 0

    def now(self) -> float:
        """Return seconds since 1970 on the moved clock."""
        return time.time() + self._offset_ns / 1e9

    def advance(self, seconds: float) -> float:
        """Move the clock forward by `seconds` for everybody at once and return the new now.

        Raises ValueError when `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        with self._lock:
            self._offset_ns += round(seconds * 1e9)
            struct.pack_into("q", self._shared, 0, self._offset_ns)
        return self.now()

    def environment(self) -> dict[str, str]:
        """Return the variables that put a child process on the moved clock."""
        return {"LD_PRELOAD": str(self._library), "MOVED_CLOCK_FILE": str(self._file)}


def wait_until(
    condition: Callable[[], object], timeout: float = 10.0, what: str = "a condition"
) -> object:
    """Return the first true value of `condition`, asked every 20 ms of real time.

    Raises TimeoutError naming `what` when `timeout` real seconds have passed.
    """
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(0.02)
