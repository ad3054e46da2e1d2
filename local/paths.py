"""Where the parts of the project lie, seen from this package."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The root of the project."""

DIST = ROOT / "dist"
"""The function app root that `make dist` fills."""

UV_CACHE = ROOT / ".cache" / "uv"
"""What the VMs have downloaded, kept so that a second run downloads nothing."""

AZURITE = ROOT / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
"""Azurite's program, installed by the lock file."""
