"""A tenth of the kill drill (tests/drill/kill.py), another each time. KILL_SEED=n repeats one."""

from __future__ import annotations

import os
import random

import pytest

from tests.drill import kill


def test_a_tenth_of_all_kills(capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    with capsys.disabled():
        print(f"\nkill drill, a tenth: KILL_SEED={seed}", flush=True)
    summary = kill.run(seed)
    assert "kills around" in summary
