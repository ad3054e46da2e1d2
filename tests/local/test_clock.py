"""The moved clock moves everybody's wall clock, and nobody's monotonic clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from local.clock import Clock, wait_until

PROGRAM = """
#include <stdio.h>
#include <time.h>
int main(void)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    printf("%ld %ld\\n", (long)mono.tv_sec, (long)wall.tv_sec);
    return 0;
}
"""
NODE = "console.log(Math.floor(performance.timeOrigin < 0), Math.floor(Date.now() / 1000))"


def ask(command: list[str], clock: Clock) -> tuple[int, int]:
    environment = {"PATH": os.environ["PATH"]} | clock.environment()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=20, check=True
    )
    first, second = done.stdout.split()
    return int(first), int(second)


def test_a_c_program_sees_the_moved_wall_clock_only(tmp_path):
    (tmp_path / "times.c").write_text(PROGRAM)
    program = tmp_path / "times"
    subprocess.run(["cc", "-o", str(program), str(tmp_path / "times.c")], check=True, timeout=60)
    clock = Clock(tmp_path)
    clock.advance(100_000)
    mono, wall = ask([str(program)], clock)
    assert abs(wall - clock.now()) < 5
    assert abs(mono - time.monotonic()) < 5


def test_node_sees_the_moved_wall_clock(tmp_path):
    clock = Clock(tmp_path)
    clock.advance(100_000)
    _, wall = ask([shutil.which("node") or "node", "-e", NODE], clock)
    assert abs(wall - clock.now()) < 5


SLEEPS = """
import threading, time
began = time.monotonic()
time.sleep(0.2)
threading.Event().wait(0.2)
condition = threading.Condition()
with condition:
    condition.wait(0.2)
print(int(10 * (time.monotonic() - began)), int(time.time()))
"""


def test_sleeps_and_waits_keep_their_length(tmp_path):
    clock = Clock(tmp_path)
    clock.advance(100_000)
    tenths, wall = ask(["python3", "-c", SLEEPS], clock)
    assert 6 <= tenths <= 15
    assert abs(wall - clock.now()) < 5


def test_azurite_moves_while_it_runs(cloud):
    app = cloud.app
    app.put_blob("clock", "a", b"1")
    cloud.clock.advance(7200)
    app.put_blob("clock", "b", b"2")
    container = app.blobs_client.get_container_client("clock")
    first, second = (container.get_blob_client(n).get_blob_properties().last_modified for n in "ab")
    assert 7190 <= (second - first).total_seconds() <= 7290


def test_the_clock_never_goes_back(tmp_path):
    with pytest.raises(ValueError, match="forward"):
        Clock(tmp_path).advance(-1)


def test_wait_until_names_what_it_waited_for():
    with pytest.raises(TimeoutError, match="rain"):
        wait_until(lambda: False, 0.05, "rain")
