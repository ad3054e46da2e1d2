"""Small files: JSON written whole or not at all, and checksums."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` is always the old or the new file, power cut or not."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def dumps(value: Any) -> bytes:
    """JSON as UTF-8 with readable non-ASCII; NaN and infinity raise ValueError."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode("utf-8", "replace") + b"\n"


def write_json(path: Path, value: Any) -> None:
    """``write_bytes`` of ``dumps``."""
    write_bytes(path, dumps(value))


def read_json(path: Path) -> Any:
    """The JSON value in a UTF-8 file; raises OSError or ValueError."""
    return json.loads(path.read_bytes())


def sha256_of(data: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
