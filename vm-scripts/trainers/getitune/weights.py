"""Public weights: where they are kept, and an end in words when they cannot be had.

Getitune fetches them while it makes a network, from several hosts, by several libraries, and none
of them gives up in a time that suits a paid machine. So a watch looks at the cache: as long as it
grows, something is being fetched.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..program import TRAINING, Refused

QUIET_S = 45.0
CALL_S = 20


def prepare() -> Path:
    """Say to all libraries where weights are kept: below TORCH_HOME; that place."""
    home = Path(os.environ.setdefault("TORCH_HOME", str(Path.home() / ".cache" / "torch")))
    cache = home / "hub" / "checkpoints"
    cache.mkdir(parents=True, exist_ok=True)
    os.environ["PRETRAINED_WEIGHTS_CACHE_DIR"] = os.environ["HF_HUB_CACHE"] = str(cache)
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(CALL_S))
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(CALL_S))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    return cache


def refused(model: str, what: str) -> Refused:
    """The end of a job whose public weights cannot be had."""
    return Refused(
        TRAINING,
        f"weights: the public weights of model `{model}` could not be fetched ({what}); send it "
        'again with "pretrained": false, or use a VM image that holds them',
    )


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def _cause(error: Exception) -> str:
    """The line that says it: getitune wraps what its libraries said in many others."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines
    return (telling or [type(error).__name__])[-1][:160]


@contextmanager
def fetched(
    model: str, cache: Path, give_up: Callable[[Refused], None], quiet_s: float = QUIET_S
) -> Iterator[None]:
    """Around the making of a network with public weights: what fails is told in words.

    ``give_up`` is called from another thread when nothing came for ``quiet_s`` seconds, and is to
    end the program: the thread that waits cannot be told.
    """
    done = threading.Event()

    def watch() -> None:
        size, since = size_of(cache), time.monotonic()
        while not done.wait(1.0):
            now = size_of(cache)
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since >= quiet_s:
                give_up(refused(model, f"nothing came for {quiet_s:.0f} seconds"))
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        raise refused(model, _cause(error)) from error
    finally:
        done.set()
