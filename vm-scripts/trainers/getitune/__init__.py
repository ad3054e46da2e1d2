"""The trainer that uses Intel's getitune through its Python API, in a venv of its own."""
