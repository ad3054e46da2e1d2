"""The trainer that uses Intel's getitune through its Python API, in a venv of its own."""

VERSION = "0.4.0"
"""Of getitune, as ``locks/getitune.in`` pins it."""
