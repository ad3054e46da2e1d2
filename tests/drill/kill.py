"""The handler is killed with SIGKILL before and after every request of a whole job.

A first run writes down the requests. Each is two drills: killed before it is passed on, and killed
when its work was done and its reply not yet sent. The host stand-in starts the handler again and
brings the message again; a bell is rung after each start.
"""

from __future__ import annotations

import multiprocessing
import random
import re
import traceback
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local.cloud import App, LocalCloud
from local.recorder import Exchange
from tests.drill.story import Story, from_handler, quiet_cloud, slim_root

SIDE_BY_SIDE = 3
"""Clouds at once: on two cores each waits for its own processes half of the time."""
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True)
class Point:
    """One request of a job: the nth that goes to a service with a method and matches `url`."""

    service: str
    method: str
    url: str
    nth: int
    shown: str


@dataclass(frozen=True)
class Kill:
    """One drill."""

    point: Point
    when: str

    def __str__(self) -> str:
        return f"killed {self.when} {self.point.shown} (no. {self.point.nth})"


def address_of(app: App, e: Exchange) -> tuple[str, str]:
    """A regular expression for a request's address in any account, and the words for it."""
    parts = urllib.parse.urlsplit(e.url)
    shown = parts.path.replace(app.account, "ACCOUNT")
    query = f"?{parts.query}" if parts.query else ""
    if e.service == "slack":
        return "/services/[^?]*$", "/HOOK"
    shown = re.sub(UUID, "ID", shown)
    shown = re.sub(r"(train-rg-\w+)-[0-9a-f]{6}-", r"\1-HASH6-", shown)
    shown = re.sub(r"(record/[\w.-]+)-[0-9a-f]{8}\.json", r"\1-HASH8.json", shown) + query
    pattern = re.escape(shown)
    for word, anything in (
        ("ACCOUNT", r"[0-9a-z]+"),
        ("ID", UUID),
        ("HASH6", "[0-9a-f]{6}"),
        ("HASH8", "[0-9a-f]{8}"),
    ):
        pattern = re.sub(rf"\b{word}\b", lambda _, anything=anything: anything, pattern)
    return rf"^https?://[^/]+{pattern}$", shown


def count_requests(root: Path) -> list[Point]:
    """All requests of a job that nothing happens to, in their order."""
    with quiet_cloud(root, ["count"]) as cloud:
        story = Story(cloud, cloud.app)
        story.live()
        story.judge()
        seen: Counter[tuple[str, str, str]] = Counter()
        points = []
        for e in cloud.recorder.exchanges:
            if not from_handler(e):
                continue
            url, shown = address_of(cloud.app, e)
            key = (e.service, e.method, url)
            seen[key] += 1
            if e.method == "PUT" and "restype=" in e.url and seen[key] > 1:
                continue  # calls side by side may each make a missing container: now two, now three
            points.append(Point(*key, seen[key], f"{e.service} {e.method} {shown}"))
    return points


def drill(cloud: LocalCloud, app: App, kill: Kill) -> None:
    """Live through one kill. Raises AssertionError or TimeoutError when a promise is broken."""
    point = kill.point
    hook = {kill.when: lambda: app.host.kill()}
    fault = cloud.faults.add(
        service=point.service,
        method=point.method,
        url=point.url,
        nth=point.nth,
        reset="before" if kill.when == "before" else "after",
        before=hook.get("before"),
        after=hook.get("after"),
    )
    story = Story(cloud, app)
    story.live(fault)
    story.judge()


def drill_all(root: Path, kills: Sequence[Kill]) -> list[str]:
    """Live through kills one after the other; what went wrong."""
    failed = []
    waiting = list(kills)
    while waiting:
        names = [f"d{len(waiting) - at}" for at in range(len(waiting))]
        kill = waiting[0]
        try:
            with quiet_cloud(root, names) as cloud:
                for app in cloud.apps.values():
                    kill = waiting.pop(0)
                    drill(cloud, app, kill)
        except Exception:  # also of the services; as text, for not all can leave their process
            failed.append(f"{kill}\n{traceback.format_exc(limit=-3)}")
            if kill in waiting:
                waiting.remove(kill)  # its cloud could not even be started
    return failed


def every(points: Sequence[Point]) -> list[Kill]:
    """Two drills for each request."""
    return [Kill(point, when) for point in points for when in ("before", "after")]


def tenth(kills: Sequence[Kill], seed: int) -> list[Kill]:
    """A tenth of them, one out of each ten neighbours, so that all parts of a job are met."""
    chance = random.Random(seed)
    return [chance.choice(kills[at : at + 10]) for at in range(0, len(kills), 10)]


def run(seed: int | None) -> str:
    """Kill at every request, or with a seed at a tenth of them; the summary."""
    with slim_root() as root:
        points = count_requests(root)
        kills = every(points) if seed is None else tenth(every(points), seed)
        several = min(SIDE_BY_SIDE, len(kills))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(several, mp_context=context) as pool:
            shares = [kills[at::several] for at in range(several)]
            found = pool.map(drill_all, [root] * several, shares)
            failed = [text for share in found for text in share]
    if failed:
        raise AssertionError("\n".join([f"{len(failed)} of {len(kills)} kills:", *failed]))
    services = Counter(point.service for point in points)
    shown = ", ".join(f"{service} {count}" for service, count in sorted(services.items()))
    return f"{len(kills)} kills around {len(points)} requests of a job ({shown})"
