"""Starts Azurite, the real emulator of Blob and Queue storage, on the moved clock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

from local.clock import Clock, wait_until
from local.paths import AZURITE

LISTENING = re.compile(r"Azurite (Blob|Queue) service is successfully listening at (http://\S+)")
READY_S = 30.0
"""Azurite starts in about a second; a busy machine gets this many real seconds."""


class Azurite:
    """One Azurite process. `blob` and `queue` are its own URLs, without the fault proxy."""

    def __init__(
        self, folder: Path, clock: Clock, accounts: dict[str, str], in_memory: bool = False
    ) -> None:
        """Start it with `accounts` (name -> key, base64) and its data below `folder`, or in memory.

        Raises FileNotFoundError when node or Azurite is not installed, TimeoutError when it does
        not come up; the error shows what it printed.
        """
        node = shutil.which("node")
        if node is None or not AZURITE.exists():
            raise FileNotFoundError("node or Azurite is missing: run `make node_modules`")
        self._addresses: dict[str, str] = {}
        self._printed: list[str] = []
        listed = ";".join(f"{name}:{key}" for name, key in accounts.items())
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(folder),
            "AZURITE_ACCOUNTS": listed,
            **clock.environment(),
        }
        # It goes when this process goes, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", node, str(AZURITE)]
        command += ["--silent", "--disableTelemetry"]
        command += ["--inMemoryPersistence"] if in_memory else ["--location", str(folder)]
        command.append("--skipApiVersionCheck")  # people's SDKs may be newer than this Azurite
        command += ["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            wait_until(self._ready, READY_S, "Azurite")
        except TimeoutError as error:
            self.stop()
            raise TimeoutError(f"{error}; it printed: {self._printed[-5:]}") from None
        self.blob = self._addresses["Blob"]
        self.queue = self._addresses["Queue"]

    def stop(self) -> None:
        """End the process, by force after 5 real seconds."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        if self._process.poll() is not None:
            raise TimeoutError(f"Azurite ended with code {self._process.returncode}")
        return len(self._addresses) == 2

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._printed.append(line.rstrip())
            found = LISTENING.search(line)
            if found:
                self._addresses[found[1]] = found[2].rstrip("/")
