"""The function app root as it is published: what is in it, and that it runs where nothing else is.

`func azure functionapp publish` zips it with one execute bit, that of the file which host.json
starts. The image under it is not ours to choose: the oldest that Functions has run on is Debian 11.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import judge, payload
from local.cloud import App, LocalCloud
from local.paths import DIST, ROOT

CACHE = ROOT / ".cache" / "bare-root"
SUITES = ("bullseye", "bookworm", "trixie")
"""The oldest that can be had is taken; the image of Functions has been Debian 11, bullseye."""
SITE = "home/site/wwwroot"
USER = 10001
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
TRAIN = "js-queue-items"


@pytest.fixture(scope="module")
def dist() -> Path:
    """The function app root; the project's own is made when it is missing."""
    named = os.environ.get("RETRAIN_DIST")
    if named:
        return Path(named).resolve()
    if not (DIST / "host.json").exists():
        subprocess.run(["make", "dist"], cwd=ROOT, check=True)
    return DIST


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def started_by(app_root: Path) -> dict[str, Any]:
    config = json.loads((app_root / "host.json").read_text(encoding="utf-8"))
    return dict(config["customHandler"]["description"])


def dynamic(path: Path, tag: str) -> list[str]:
    """The values of one tag of the dynamic section."""
    run = subprocess.run(
        ["readelf", "--dynamic", "--wide", str(path)], capture_output=True, text=True, check=True
    )
    return re.findall(rf"\({tag}\).*\[(.*)\]", run.stdout)


# What is in it.


def test_there_are_no_links(dist: Path) -> None:
    """A zip as `func` writes it keeps none."""
    assert [path for path in dist.rglob("*") if path.is_symlink()] == []


def test_c1_21_handler_is_the_dynamic_loader_itself(dist: Path) -> None:
    how = started_by(dist)
    assert how["defaultExecutablePath"] == "handler"
    handler = dist / "handler"
    (name,) = dynamic(handler, "SONAME")
    assert re.fullmatch(r"ld-linux.*\.so\.\d+", name)
    headers = subprocess.run(
        ["readelf", "--program-headers", "--wide", str(handler)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "INTERP" not in headers, "it would need a loader of the image"
    option, libraries, program = how["arguments"]
    assert (option, libraries) == ("--library-path", "lib")
    assert (dist / program).is_file()


def test_every_library_that_is_asked_for_is_there(dist: Path) -> None:
    there = {path.name for path in (dist / "lib").iterdir()} | set(
        dynamic(dist / "handler", "SONAME")
    )
    missing = {
        f"{path.name} needs {name}"
        for path in (dist / "lib").iterdir()
        for name in dynamic(path, "NEEDED")
        if name not in there
    }
    assert missing == set()
    assert "libc.so.6" in there


def test_no_path_of_this_machine_is_inside(dist: Path) -> None:
    for path in [dist / "handler", *(dist / "lib").iterdir()]:
        assert dynamic(path, "RPATH") == dynamic(path, "RUNPATH") == [], path.name
    for path in files_of(dist):
        data = path.read_bytes()
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
        assert str(ROOT).encode() not in data, path.relative_to(dist)


def test_each_function_has_its_folder_at_the_root(dist: Path) -> None:
    found = {path.parent.name for path in dist.glob("*/function.json")}
    queues = {"js-queue-items", "delete-resources"}
    assert found == {"job-watch", *queues, *(f"{queue}-poison" for queue in queues)}


# That it runs.


def publish(dist: Path, target: Path) -> None:
    """Zip as `func` does, and unpack as the platform does: modes are kept, and nothing else."""
    program = started_by(dist)["defaultExecutablePath"]
    archive = target.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for path in files_of(dist):
            name = path.relative_to(dist).as_posix()
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = (0o100777 if name == program else 0o100666) << 16
            out.writestr(entry, path.read_bytes())
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            path = target / entry.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed.read(entry))
            path.chmod(entry.external_attr >> 16 & 0o777)
    archive.unlink()


def mirror() -> str:
    """The Debian mirror that this machine uses; Debian's own when it uses none."""
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (
            Path("/etc/apt/sources.list"),
            *sorted(Path("/etc/apt/sources.list.d").glob("*")),
        )
        if path.is_file()
    ]
    found = re.search(
        r"^(?:URIs:|deb\s(?:\[.*\])?)\s*(\S+/debian/?)(?:\s|$)", "\n".join(texts), re.M
    )
    return found[1] if found else "http://deb.debian.org/debian"


def make_root() -> tuple[str, Path]:
    """Suite and folder of a Debian of essential packages alone; made once. Skips without rights."""
    if os.geteuid() != 0:
        pytest.skip("a bare root needs root rights")
    can = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if can.returncode != 0:
        pytest.skip(f"this root may not mount: {can.stderr.strip()}")
    for suite in SUITES:
        if (CACHE / suite).is_dir():
            return suite, CACHE / suite
    if shutil.which("mmdebstrap") is None:
        subprocess.run(["make", ".cache/debian-packages-dist"], cwd=ROOT, capture_output=True)
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    said = []
    for suite in SUITES:
        fresh = CACHE / f"{suite}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        run = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=essential", suite, str(fresh), mirror()],
            capture_output=True,
            text=True,
        )
        if run.returncode == 0:
            (fresh / SITE).mkdir(parents=True)
            (fresh / "etc" / "hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
            fresh.rename(CACHE / suite)
            return suite, CACHE / suite
        said.append(f"{suite}: {(run.stderr.strip().splitlines() or ['failed'])[-1]}")
    pytest.skip(f"no bare root can be had: {'; '.join(said)}")


class Handler:
    """The published package at work in a bare root that nobody can write to."""

    ENTER = f"""
        mount --make-rprivate /
        mount --bind "$1" "$1"
        mount --bind "$2" "$1/{SITE}"
        mount -o remount,bind,ro "$1/{SITE}"
        mount -o remount,bind,ro "$1"
        cd "$1"
        root=$1 user=$3
        shift 3
        exec chroot --userspec="$user:$user" --groups= "$root" /bin/sh -c \
            'cd /{SITE} && exec "$0" "$@"' "$@"
    """

    def __init__(self, root: Path, package: Path, settings: dict[str, str]) -> None:
        how = started_by(package)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/home",
            "FUNCTIONS_WORKER_RUNTIME": "custom",
            "FUNCTIONS_CUSTOMHANDLER_PORT": str(self.port),
            "FUNCTIONS_APP_ROOT_PATH": f"/{SITE}",
            **settings,
        }
        words = [f"/{SITE}/{how['defaultExecutablePath']}", *how["arguments"]]
        self.process = subprocess.Popen(
            ["unshare", "--mount", "/bin/sh", "-ec", self.ENTER, "enter"]
            + [str(root), str(package), str(USER), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json; charset=utf-8"} if body else {}
        link.request(method, path, body or None, headers)
        answer = link.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        link.close()
        return found

    def wait(self) -> None:
        """Until anything is answered on `/`, as the host does."""
        end = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < end:
            try:
                self.ask("GET", "/")
                return
            except OSError:
                time.sleep(0.025)
        raise AssertionError(f"it did not start: {self.stop()}")

    def stop(self) -> str:
        """Ask it to end; all that it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.communicate()[0] + "\n(killed)"


@pytest.fixture
def cloud(dist: Path) -> Iterator[LocalCloud]:
    with LocalCloud(dist=dist, hosts=False) as cloud:
        cloud.vms.work = lambda vm: None
        yield cloud


def settings_of(app: App) -> dict[str, str]:
    """The app's settings; one address has a name in it, so that names are resolved too."""
    settings = app.settings()
    settings["SLACK_URL"] = settings["SLACK_URL"].replace("127.0.0.1", "localhost")
    return settings


def test_c1_21_it_runs_in_a_bare_debian_as_an_ordinary_user(
    dist: Path, cloud: LocalCloud, tmp_path: Path
) -> None:
    suite, root = make_root()
    if suite != SUITES[0]:
        warnings.warn(f"{SUITES[0]} cannot be had: it ran in {suite}", stacklevel=1)
    assert not list((root / "usr/lib").rglob("libcurl*")), "the root is not bare"
    package = tmp_path / "wwwroot"
    publish(dist, package)
    assert [p.name for p in files_of(package) if p.stat().st_mode & 0o111] == ["handler"]

    app = cloud.app
    app.put_zip("a.zip", EMPTY_ZIP)
    handler = Handler(root, package, settings_of(app))
    try:
        handler.wait()
        process = Path(f"/proc/{handler.process.pid}")
        (uids,) = re.findall(r"^Uid:\s+(.*)$", (process / "status").read_text(), re.M)
        assert set(uids.split()) == {str(USER)}
        mapped = set(re.findall(r"\s(/\S+)$", (process / "maps").read_text(), re.M))
        strange = {path for path in mapped if f"/{SITE}/" not in path}
        assert strange == set(), "something of the image was loaded"
        trigger = json.loads((package / TRAIN / "function.json").read_text())["bindings"][0]
        body = payload.body(trigger, TRAIN, b"a.zip:bare", cloud.clock.now())
        status, headers, answer = handler.ask("POST", f"/{TRAIN}", body)
        said = judge.judge(status, "", headers, answer)
    finally:
        printed = handler.stop()
    assert said["Logs"] == ["job bare is accepted"], printed
    record = app.record("bare")
    assert record is not None
    assert record["state"]["machine"] == "provisioning", printed
    ordered = cloud.recorder.select("arm", "PUT", "/deployments/")
    assert [e.status for e in ordered] == [201], printed
    assert len(app.slack()) == 1, printed
    assert handler.process.returncode == 128 + signal.SIGTERM, printed
    assert cloud.recorder.leaks() == []
