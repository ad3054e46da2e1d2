"""`python -m local demo [--keep]`."""

from __future__ import annotations

import argparse
import sys

from local import demo


def main() -> int:
    """Read the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="A cloud on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    story = commands.add_parser("demo", help="run one job from the message to the model")
    story.add_argument("--keep", action="store_true", help="leave the cloud running at the end")
    return demo.main(parser.parse_args().keep)


if __name__ == "__main__":
    sys.exit(main())
