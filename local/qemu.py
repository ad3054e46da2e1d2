"""Runs a VM as a real machine: qemu without KVM boots a Debian whose cloud-init reads customData.

What Azure gives a VM is given here: the customData as it came, the metadata service at
169.254.169.254, a clock that is set, a serial console. The second serial line is a root shell, the
hands of a test. The machine reaches this one's loopback at HOST and nothing else matters to it.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.arm_types import MachineSpec
from local.clock import Clock
from local.image import Image
from local.imds import Imds
from local.recorder import Recorder

HOST = "10.0.2.2"
"""Where a VM finds the loopback of this machine."""
QEMU = "qemu-system-x86_64"
NEEDED = (QEMU, "genisoimage")
MEMORY_MB = 2048
CPU = "max,la57=off"
"""With 57-bit addresses every walk of a page table is longer. (Leaving out svm instead would take
away the leaf that tells their width: mount points then read "xxx" and nothing works.)"""
KERNEL = (
    "ro console=ttyS0 net.ifnames=0 ipv6.disable=1 systemd.default_timeout_start_sec=600 "
    "modprobe.blacklist=kvm,kvm_amd,powernow_k8"
)
NETWORK = """version: 2
ethernets:
  outside:
    match: {macaddress: "52:54:00:00:00:01"}
    dhcp4: true
  metadata:
    match: {macaddress: "52:54:00:00:00:02"}
    addresses: [169.254.169.2/24]
"""
RELAY = Path(__file__).with_name("relay.py")
POLL_S = 0.05


class QemuMachine:
    """One VM under software emulation. It lives in real time: two minutes to be at work."""

    def __init__(
        self,
        spec: MachineSpec,
        root: Path,
        imds: Imds,
        clock: Clock,
        recorder: Recorder,
        image: Image,
    ) -> None:
        """Prepare it; `start` switches it on."""
        self.spec = spec
        self.lines: list[str] = []
        self.began = time.monotonic()
        self._root = root
        self._imds = imds
        self._clock = clock
        self._recorder = recorder
        self._image = image
        # Its own, because the path of a socket may be no longer than 107 bytes.
        self._box = Path(tempfile.mkdtemp(prefix="vm-"))
        self._shell: Shell | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Switch it on. Raises FileNotFoundError when qemu or genisoimage is not installed."""
        missing = [name for name in NEEDED if shutil.which(name) is None]
        if missing:
            raise FileNotFoundError(f"missing: {', '.join(missing)}")
        self._root.mkdir(parents=True)
        self._imds.start()
        seed = self._seed()
        begun = threading.Event()
        threading.Thread(target=self._live, args=(seed, begun), daemon=True).start()
        begun.wait()

    def kill(self) -> None:
        """Cut the power. Doing it again does nothing."""
        self._process.kill()
        self._process.wait()
        self._imds.stop()
        shutil.rmtree(self._box, ignore_errors=True)

    def announce_eviction(self, at: float) -> None:
        """Tell the VM by its scheduled events that it is taken away."""
        self._imds.preempt(at)

    def power(self) -> str:
        """Return "running" or "stopped"."""
        return "running" if self._process.poll() is None else "stopped"

    def console(self) -> bytes:
        """Return what it has printed on its first serial line."""
        return "".join(f"{line}\r\n" for line in list(self.lines)).encode()

    def processes(self, command: str = "") -> dict[int, str]:
        """Return the machine itself while it is on: what runs inside is not seen from here."""
        alive = self._process.poll() is None and re.search(command, QEMU)
        return {self._process.pid: QEMU} if alive else {}

    # What a test does to it.

    def run(self, command: str, deadline_s: float = 60.0) -> tuple[int, str]:
        """Run a line of bash inside as root; its exit code and what it printed.

        Raises TimeoutError when it gives no answer, as before the machine is up.
        """
        with self._lock:
            if self._shell is None:
                self._shell = Shell(self._box / "hands")
            return self._shell.run(command, deadline_s)

    def unplug(self) -> None:
        """Take the network away, but for the metadata service."""
        self._monitor("set_link", {"name": "outside", "up": False})

    # Inside.

    def _seed(self) -> Path:
        folder = self._root / "seed"
        folder.mkdir()
        (folder / "user-data").write_bytes(self.spec.custom_data)
        (folder / "meta-data").write_text(
            json.dumps({"instance-id": self.spec.vm_id, "local-hostname": self.spec.name}),
            encoding="ascii",
        )
        (folder / "network-config").write_text(NETWORK, encoding="ascii")
        seed = self._root / "seed.iso"
        subprocess.run(
            ["genisoimage", "-quiet", "-output", seed, "-volid", "cidata", "-joliet", "-rock"]
            + [str(folder)],
            check=True,
        )
        return seed

    def _command(self, seed: Path) -> list[str]:
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        relay = f"{sys.executable} -IS {RELAY} {self._imds.port}"
        metadata = "user,id=metadata,net=169.254.169.0/24,host=169.254.169.1,restrict=on"
        kernel = f"root=LABEL={self._image.label} {KERNEL}"
        return [
            *(QEMU, "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", "2"),
            *("-m", str(MEMORY_MB), "-nodefaults", "-display", "none"),
            *("-rtc", f"base={now},clock=host"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
            *("-append", kernel),
            *("-drive", f"file={self._image.disk},format=raw,if=virtio,snapshot=on"),
            *("-drive", f"file={seed},format=raw,if=virtio,readonly=on"),
            *("-netdev", "user,id=outside"),
            *("-device", "virtio-net-pci,netdev=outside,mac=52:54:00:00:00:01"),
            *("-netdev", f"{metadata},guestfwd=tcp:169.254.169.254:80-cmd:{relay}"),
            *("-device", "virtio-net-pci,netdev=metadata,mac=52:54:00:00:00:02"),
            *("-object", "rng-random,id=random,filename=/dev/urandom"),
            *("-device", "virtio-rng-pci,rng=random"),
            *("-chardev", f"socket,id=hands,path={self._box / 'hands'},server=on,wait=off"),
            *("-chardev", "stdio,id=console,signal=off"),
            *("-serial", "chardev:console", "-serial", "chardev:hands"),
            *("-qmp", f"unix:{self._box / 'monitor'},server=on,wait=off"),
        ]

    def _live(self, seed: Path, begun: threading.Event) -> None:
        """Run the machine and read its console, in one thread: it dies with its maker's thread."""
        self._process = subprocess.Popen(
            ["nice", "-n", "5", "setpriv", "--pdeathsig", "KILL", *self._command(seed)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self._box)},
            start_new_session=True,
        )
        begun.set()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            self.lines.append(text)
            self._recorder.add_line(f"vm {self.spec.group}", text)

    def _monitor(self, command: str, arguments: dict[str, Any]) -> None:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(self._box / "monitor"))
            file = link.makefile("rw", encoding="utf-8")
            file.readline()  # its greeting
            for name, given in (("qmp_capabilities", {}), (command, arguments)):
                file.write(json.dumps({"execute": name, "arguments": given}) + "\n")
                file.flush()
                while "return" not in (answer := json.loads(file.readline())):
                    if "error" in answer:
                        raise ValueError(f"{name}: {answer['error']}")


class Shell:
    """The root shell on the second serial line."""

    def __init__(self, path: Path) -> None:
        """Connect; somebody may answer only later."""
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(str(path))
        self._link.settimeout(POLL_S)

    def run(self, command: str, deadline_s: float) -> tuple[int, str]:
        """Say a line until it is answered: one said before the shell is there is lost."""
        end = time.monotonic() + deadline_s
        mark = f"ready{uuid.uuid4().hex[:8]}"
        while f"{mark}-0" not in self._say(f"stty -echo; PS1=; echo {mark}-$?", f"{mark}-0", 3.0):
            if time.monotonic() > end:
                raise TimeoutError(f"no shell in {deadline_s:g} s for: {command}")
        begin, over = (f"{name}{uuid.uuid4().hex[:8]}" for name in ("begin", "over"))
        line = f"echo {begin}; {{ {command}; }} 2>&1; echo {over}-$?-"
        text = self._say(line, f"{over}-\\d+-", end - time.monotonic())
        found = re.search(rf"{begin}\s*\n(.*){over}-(\d+)-", text, re.S)
        if found is None:
            raise TimeoutError(f"no answer in {deadline_s:g} s to: {command}\n{text[-500:]}")
        return int(found[2]), found[1].replace("\r", "").strip()

    def _say(self, line: str, awaited: str, deadline_s: float) -> str:
        self._link.sendall(line.encode() + b"\n")
        end, heard = time.monotonic() + max(deadline_s, 1.0), b""
        while time.monotonic() < end:
            try:
                data = self._link.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise TimeoutError("the machine is off")
            heard += data
            if re.search(awaited, heard.decode("utf-8", "replace")):
                break
        return heard.decode("utf-8", "replace")
