"""A tenth of the kill drill (tests/drill/kill.py), another each time. KILL_SEED=n repeats one."""

from __future__ import annotations

import os
import random

import pytest

from tests.drill import kill
from tests.drill.story import slim_root


def test_a_tenth_of_all_kills(capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    with capsys.disabled():
        print(f"\nkill drill, a tenth: KILL_SEED={seed}", flush=True)
    summary = kill.run(seed)
    assert "kills around" in summary


def test_killed_after_the_slot_was_given_back() -> None:
    """The one between an act and the save that says so which everything else waits for."""
    with slim_root() as root:
        points = kill.count_requests(root)
        given_back = [p for p in points if p.shown.endswith("PUT /ACCOUNT/jobs/slots.json")][-1]
        assert kill.drill_all(root, [kill.Kill(given_back, "after")]) == []
