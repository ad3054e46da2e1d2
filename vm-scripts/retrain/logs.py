"""train.log: one line per event, no secrets."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from .link import redact

TAIL_LINES = 20
LINE_LENGTH = 300


class _Clean(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def open_log(path: Path) -> logging.Logger:
    """A logger that appends to ``path``, and to the terminal when a person is watching."""
    log = logging.getLogger("retrain")
    log.setLevel(logging.INFO)
    log.propagate = False
    handlers: list[logging.Handler] = [
        logging.FileHandler(path, encoding="utf-8", errors="replace")
    ]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    for old in log.handlers[:]:
        log.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(_Clean("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
    return log


def tail(path: Path) -> list[str]:
    """The last lines of a log, at most 20 of 300 characters, without control characters."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - (64 << 10)))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.replace("\r", "\n").split("\n")]
    plain = ["".join(c if c.isprintable() else " " for c in redact(line)) for line in lines if line]
    return [line[:LINE_LENGTH] for line in plain[-TAIL_LINES:]]
