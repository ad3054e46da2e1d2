"""Speed and memory of the handler beside a Go and a Node handler that do the same work.

Prints one table and exits with 1 when a bound is missed. Nothing here is a test: figures depend on
the machine, so ratios to the peers of the same run are what counts.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from local.cloud import LocalCloud  # noqa: E402
from local.recorder import rounds  # noqa: E402
from tests.bench import first_step, watch  # noqa: E402
from tests.e2e.test_requests import LATENCY_S, ROUND_TRIPS, until_ordered  # noqa: E402

#: bounds of the project, each printed beside what was measured
START_MS, START_RATIO = 20.0, 4.0
RATE_RATIO = 1.3
RESIDENT_MB, ANONYMOUS_MB = 16.0, 6.0
STARTS = 20
SECONDS = 5
CONNECTIONS = 24
INVOCATIONS = 100_000
IDLE_THREADS = 4


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def body() -> str:
    """The host's POST of a queue trigger with dataType binary."""
    message = base64.b64encode(
        json.dumps({"v": 1, "job": "screws-0412", "text": "ネジ " * 40}).encode()
    )
    metadata = {
        "DequeueCount": "1",
        "ExpirationTime": "2026-01-08T10:00:00+00:00",
        "Id": '"800ae4b3-bdd2-4c08-badd-f08e5a34b865"',
        "InsertionTime": "2026-01-01T10:00:00+00:00",
        "NextVisibleTime": "2026-01-01T10:10:00+00:00",
        "PopReceipt": '"AgAAAAMAAAAAAAAAAgtnj8x+1QE="',
        "sys": {
            "MethodName": "delete-resources",
            "UtcNow": "2026-01-01T10:00:00.2205399Z",
            "RandGuid": "24ad4c06-24ad-4e5b-8294-3da9714877e9",
        },
    }
    return json.dumps({"Data": {"message": message.decode()}, "Metadata": metadata})


class Peer:
    """One handler to be measured: a name and how it is started."""

    def __init__(self, name: str, command: list[str], cwd: Path, settings: dict[str, str]) -> None:
        self.name, self.command, self.cwd, self.settings = name, command, cwd, settings

    @contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
        """Process, port and ms from exec to the first answer on `/`."""
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/tmp",
            **self.settings,
            "FUNCTIONS_CUSTOMHANDLER_PORT": str(port),
        }
        began = time.perf_counter()
        process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process, port, first_answer(process, port, began)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def first_answer(process: subprocess.Popen[bytes], port: int, began: float) -> float:
    """Ask `/` until it answers; ms since began. RuntimeError when the process ends or is late."""
    while time.perf_counter() - began < 10:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                if s.recv(4096).startswith(b"HTTP/1.1 200"):
                    return (time.perf_counter() - began) * 1000
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.0002)
    raise RuntimeError("it did not start")


def wrk(port: int, seconds: int) -> tuple[float, float, int]:
    """Requests per second, p99 in ms, and wrong or failed answers."""
    run = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            str(HERE / "post.lua"),
            f"http://127.0.0.1:{port}",
        ],
        env={**os.environ, "BENCH_BODY": body()},
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(x for x in run.stdout.splitlines() if x.startswith("RESULT"))
    requests, duration_us, _, p99_us, errors = (int(x) for x in line.split()[1:])
    return requests / (duration_us / 1e6), p99_us / 1000, errors


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident and anonymous memory, once the threads of closed connections are gone."""
    end = time.monotonic() + 10
    while len(list(Path(f"/proc/{pid}/task").iterdir())) > IDLE_THREADS and time.monotonic() < end:
        time.sleep(0.05)
    return memory_now_mb(pid)


def memory_now_mb(pid: int) -> tuple[float, float]:
    """Resident and anonymous memory of whatever runs now."""
    values = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) / 1024
    return values["Rss"], values["Anonymous"]


def measure_start(peers: list[Peer]) -> dict[str, float]:
    """Median ms to the first answer; the peers take turns."""
    times: dict[str, list[float]] = {p.name: [] for p in peers}
    for _ in range(STARTS):
        for peer in peers:
            with peer.running() as (_, _, ms):
                times[peer.name].append(ms)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_rate(peers: list[Peer]) -> dict[str, tuple[float, float, int]]:
    """Best of three rounds for each peer, which take turns."""
    best: dict[str, tuple[float, float, int]] = {}
    for _ in range(3):
        for peer in peers:
            with peer.running() as (_, port, _):
                wrk(port, 1)
                found = wrk(port, SECONDS)
            if peer.name not in best or found[0] > best[peer.name][0]:
                best[peer.name] = found
    return best


def measure_memory(cloud: LocalCloud) -> tuple[float, float, float]:
    """Resident and anonymous MB after calls to the stand-ins and 4 x 50,000 invocations; growth.

    Growth is the smallest from one 50,000 to the next, of resident memory: a leak is in each, a
    page that is touched for the first time in one.
    """
    host = cloud.app.host
    for _ in range(20):
        host.fire("job-watch")
    after = []
    while len(after) < 4:
        done = 0
        while done < INVOCATIONS / 2:
            rate, _, _ = wrk(host.port, 1)
            done += int(rate)
        after.append(memory_mb(host.pid))
    resident = [each[0] for each in after]
    growth = min(later - before for before, later in pairwise(resident))
    return resident[-1], after[-1][1], growth


def measure_accept(cloud: LocalCloud) -> tuple[list[list[str]], int]:
    """Round by round, the requests from the message to the accepted deployment, in steady state.

    And how many connections a job opens that the one before it did not need.
    """
    app = cloud.app
    cloud.vms.work = lambda vm: None
    jobs = ["warm", "before", "bench"]
    for job in jobs:
        app.put_zip(f"{job}.zip", b"PK\x05\x06" + bytes(18))
    late = cloud.faults.add(times=None, delay=LATENCY_S)
    opened = []
    for job in jobs:
        seen = len(cloud.recorder.exchanges)
        app.host.invoke("js-queue-items", f"{job}.zip", Id=json.dumps(job))
        opened.append(sum(cloud.connections().values()))
    cloud.faults.remove(late)
    found = rounds(until_ordered(cloud.recorder.exchanges[seen:]))
    lines = [[f"{e.service:9} {e.method:4} {e.url.split('?')[0]}" for e in one] for one in found]
    return lines, opened[2] - opened[1]


def build_go(folder: Path) -> Path:
    """Compile the Go peer."""
    binary = folder / "peer"
    subprocess.run(
        ["go", "build", "-o", str(binary), str(HERE / "peer.go")],
        check=True,
        env={
            **os.environ,
            "GO111MODULE": "off",
            "GOCACHE": str(folder / "cache"),
            "HOME": str(folder),
        },
    )
    return binary


def main() -> int:
    """Measure all, print the table, and judge."""
    dist = Path(os.environ.get("RETRAIN_DIST", ROOT / "dist"))
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    missed = []

    def judge(text: str, good: bool) -> None:
        print(f"{'ok    ' if good else 'MISSED'} {text}")
        if not good:
            missed.append(text)

    try:
        with LocalCloud({"app": {"MAX_JOBS": "9"}}, dist=dist) as cloud:
            settings = {**cloud.app.settings(), "FUNCTIONS_APP_ROOT_PATH": str(dist)}
            handler = ["./handler", "--library-path", "lib", "lib/retrain"]
            peers = [
                Peer("handler", handler, dist, settings),
                Peer("Go", [str(build_go(folder))], folder, {}),
                Peer("Node", ["node", str(HERE / "peer.js")], folder, {}),
            ]
            starts, rates = measure_start(peers), measure_rate(peers)
            resident, anonymous, growth = measure_memory(cloud)
            trips, opened = measure_accept(cloud)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'':10}{'start ms':>10}{'calls/s':>10}{'p99 ms':>10}{'errors':>8}")
    for name, (rate, p99, errors) in rates.items():
        print(f"{name:10}{starts[name]:10.1f}{rate:10.0f}{p99:10.2f}{errors:8}")
    judge(f"start {starts['handler']:.1f} ms, below {START_MS:.0f}", starts["handler"] < START_MS)
    ratio = starts["Node"] / starts["handler"]
    judge(f"start {ratio:.1f} x faster than Node, at least {START_RATIO}", ratio >= START_RATIO)
    ratio = rates["handler"][0] / rates["Go"][0]
    judge(f"calls/s {ratio:.2f} x Go, at least {RATE_RATIO}", ratio >= RATE_RATIO)
    judge(
        f"p99 {rates['handler'][1]:.2f} ms, Go {rates['Go'][1]:.2f}",
        rates["handler"][1] <= rates["Go"][1],
    )
    judge("no wrong answer", rates["handler"][2] == 0)
    judge(f"resident {resident:.1f} MB, at most {RESIDENT_MB:.0f}", resident <= RESIDENT_MB)
    judge(f"anonymous {anonymous:.1f} MB, at most {ANONYMOUS_MB:.0f}", anonymous <= ANONYMOUS_MB)
    judge(f"growth from 50,000 invocations to the next {growth:.2f} MB, below 0.5", growth < 0.5)
    judge(
        f"accepting a job: {len(trips)} round trips in sequence, at most {ROUND_TRIPS}",
        len(trips) <= ROUND_TRIPS,
    )
    for number, one in enumerate(trips, 1):
        for line in one:
            print(f"       {number} {line}")
    judge(f"connections opened by a later job: {opened}, none", opened == 0)
    for text, good in [*watch.rows(dist), *first_step.rows(dist)]:
        judge(text, good)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
