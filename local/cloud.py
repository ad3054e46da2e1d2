"""LocalCloud: everything wired together, for one or several apps in one subscription."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.fileshare import ShareServiceClient

from local.arm import Arm
from local.azurite import Azurite
from local.clock import Clock
from local.console import Consoles
from local.faults import Faults
from local.files import Files
from local.host import FunctionsHost, Options, Outcome
from local.identity import APP_PATH, Identity, Principal
from local.image import Image
from local.paths import DIST
from local.prices import Prices
from local.proxy import Proxy
from local.qemu import HOST
from local.queues import Queues
from local.recorder import Recorder
from local.service import OUTSIDE
from local.slack import Slack
from local.vm import VmRunner

TRAIN_QUEUE = "js-queue-items"
DELETE_QUEUE = "delete-resources"
TRAIN_SHARE = "train"
MANAGED = {"AZURE_SP_APP_ID": "", "AZURE_SP_PASSWORD": "", "AZURE_SP_TENANT": ""}
"""Settings of an app that has no service principal: its managed identity is taken."""
ON_A_VM = {**MANAGED, "IDENTITY_ENDPOINT": "", "IDENTITY_HEADER": ""}
"""Settings of an app on a VM with a managed identity."""


class App:
    """One function app: storage account, settings, hosts, and what people do with it."""

    def __init__(self, cloud: LocalCloud, name: str, extra: Mapping[str, str]) -> None:
        """Made by LocalCloud, which has planted the secrets."""
        self.name = name
        self.account = cloud.accounts[name]
        self.hosts: list[FunctionsHost] = []
        self._cloud = cloud
        self._extra = dict(extra)
        key = cloud.keys[self.account]
        head = f"AccountName={self.account};AccountKey={key}"
        files = f"FileEndpoint={cloud.files.url}/{self.account}"
        self.connection = (
            f"{head};BlobEndpoint={cloud.blob.url}/{self.account};"
            f"QueueEndpoint={cloud.queue.url}/{self.account};{files}"
        )
        """The connection string that the handler gets: through the proxies."""
        self.direct = (
            f"DefaultEndpointsProtocol=http;{head};BlobEndpoint={cloud.azurite.blob}/{self.account};"
            f"QueueEndpoint={cloud.azurite.queue}/{self.account};{files}"
        )
        """The same account without proxies, for people, tests and the Functions host."""
        self._hook = f"/services/T0/B0/{secrets.token_urlsafe(24)}"
        cloud.recorder.plant(f"slack url#{name}", self._hook)
        self._slack_url = cloud.slack.hook(self._hook)
        self.queues = Queues(self.direct)
        self.blobs_client = BlobServiceClient.from_connection_string(self.direct)
        self.shares_client = ShareServiceClient.from_connection_string(
            self.direct, user_agent=OUTSIDE
        )
        self.shares_client.create_share(TRAIN_SHARE)
        self.queues.create(TRAIN_QUEUE)

    def settings(self) -> dict[str, str]:
        """Return the app settings that the handler finds in its environment."""
        cloud = self._cloud
        return {
            "AzureWebJobsStorage": self.connection,
            "AZURE_ARM_ENDPOINT": cloud.arm.url,
            "AZURE_PRICES_ENDPOINT": cloud.prices.url,
            "AZURE_AUTHORITY_HOST": cloud.identity.url,
            "AZURE_SUBSCRIPTION_ID": cloud.arm.subscription,
            "AZURE_SP_APP_ID": cloud.principal.client_id,
            "AZURE_SP_PASSWORD": cloud.principal.secret,
            "AZURE_SP_TENANT": cloud.principal.tenant,
            "IDENTITY_ENDPOINT": f"{cloud.identity.url}{APP_PATH}",
            "IDENTITY_HEADER": cloud.identity.header,
            "AZURE_IMDS_ENDPOINT": cloud.identity.url,
            "AZURE_LOCATION": "japaneast",
            "TRAIN_VM_RESOURCE_GROUP": "train-rg",
            "SLACK_URL": self._slack_url,
            "VM_SIZE": "Standard_D8s_v4",
            "TRAINER": "tiny",
            **({"VM_STORAGE_HOST": HOST} if cloud.image else {}),
            **self._extra,
        }

    @property
    def host(self) -> FunctionsHost:
        """The first host of the app."""
        return self.hosts[0]

    def start_host(self, options: Options | None = None) -> FunctionsHost:
        """Start a host with a handler; a second one runs beside the first."""
        host = FunctionsHost(
            self._cloud.dist,
            self.settings(),
            self._cloud.clock,
            self._cloud.recorder,
            self.queues,
            self.name,
            options,
        )
        self.hosts.append(host)
        return host.start()

    # What people do.

    def send(self, text: str, encode: bool = True, queue: str = TRAIN_QUEUE) -> None:
        """Put a message, as base64 like Storage Explorer does or plain."""
        self.queues.send_text(queue, base64.b64encode(text.encode()).decode() if encode else text)

    def put_zip(self, name: str, data: bytes, settle_s: float = 30.0) -> None:
        """Upload a file to share `train`; then the clock moves, so that the upload stands still."""
        share = self.shares_client.get_share_client(TRAIN_SHARE)
        share.get_file_client(name).upload_file(data)
        if settle_s:
            self._cloud.clock.advance(settle_s)

    # What people see.

    def blob(self, container: str, name: str) -> bytes | None:
        """Return a blob's bytes, None when it is not there."""
        try:
            return self._container(container).download_blob(name).readall()
        except ResourceNotFoundError:
            return None

    def blobs(self, container: str, prefix: str = "") -> list[str]:
        """Return the names of blobs; an absent container is empty."""
        try:
            return list(self._container(container).list_blob_names(name_starts_with=prefix))
        except ResourceNotFoundError:
            return []

    def put_blob(self, container: str, name: str, data: bytes) -> None:
        """Write a blob over whatever is there."""
        client = self._container(container)
        with contextlib.suppress(ResourceExistsError):
            client.create_container()
        client.upload_blob(name, data, overwrite=True)

    def file(self, share: str, path: str) -> bytes | None:
        """Return a file's bytes, None when it is not there."""
        client = self.shares_client.get_share_client(share).get_file_client(path)
        try:
            return client.download_file().readall()
        except ResourceNotFoundError:
            return None

    def files(self, share: str, directory: str = "") -> list[str]:
        """Return the names in a directory; an absent one is empty."""
        client = self.shares_client.get_share_client(share).get_directory_client(directory)
        try:
            return [str(item.name) for item in client.list_directories_and_files()]
        except ResourceNotFoundError:
            return []

    def record(self, job_id: str) -> dict[str, Any] | None:
        """Return a job's record, None before it is accepted."""
        data = self.blob("jobs", f"record/{job_id}.json")
        return None if data is None else dict(json.loads(data))

    def markers(self) -> list[str]:
        """Return the ids of the jobs that have a live/ marker."""
        return [name.removeprefix("live/") for name in self.blobs("jobs", "live/")]

    def slack(self) -> list[str]:
        """Return the texts that went to this app's Slack channel."""
        return self._cloud.slack.texts(self._hook)

    def watch(self) -> Outcome:
        """Fire the timer once, on the first host."""
        return self.host.fire("job-watch")

    def _container(self, name: str) -> ContainerClient:
        return self.blobs_client.get_container_client(name)


class LocalCloud:
    """A cloud with one or several apps. Use it in a `with` statement.

    Parts: clock, recorder, faults, azurite, blob and queue (proxies), files, identity, arm, slack,
    prices, vms, apps. `app` is the first app.
    """

    def __init__(
        self,
        apps: Mapping[str, Mapping[str, str]] | None = None,
        *,
        dist: Path = DIST,
        options: Options | None = None,
        hosts: bool = True,
        in_memory: bool = False,
        image: Image | None = None,
    ) -> None:
        """Prepare; everything starts on entering.

        apps      -- settings beyond the usual ones, by app name
        dist      -- the function app root
        options   -- how the hosts behave
        hosts     -- start one host for each app
        in_memory -- Azurite keeps nothing on disk, which is quicker with thousands of blobs
        image     -- VMs are real machines that boot from it, under qemu
        """
        self.dist = dist
        self._wanted = dict(apps or {"app": {}})
        self._options = options
        self._hosts = hosts
        self._in_memory = in_memory
        self.image = image
        self._folder: Path | None = None
        self._stops: list[Any] = []

    def __enter__(self) -> LocalCloud:
        """Start all parts. What has started is stopped again when one fails."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all parts. Raises AssertionError when a handler broke the host's rules."""
        self.close()
        if error is None:
            broken = [
                text for app in self.apps.values() for h in app.hosts for text in h.violations
            ]
            assert not broken, broken

    @property
    def app(self) -> App:
        """The first app."""
        return next(iter(self.apps.values()))

    def _start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="local-cloud-"))
        data, machines = self._folder / "azurite", self._folder / "vm"
        data.mkdir()
        machines.mkdir()
        self.clock = Clock(self._folder)
        self.recorder = Recorder()
        self.faults = Faults()
        self.apps: dict[str, App] = {}
        self.accounts = {name: _account(name) for name in self._wanted}
        self.keys = {}
        for name, account in self.accounts.items():
            key = base64.b64encode(secrets.token_bytes(64)).decode()
            self.keys[account] = self.recorder.plant(f"account key#{name}", key)
        self.azurite = Azurite(data, self.clock, self.keys, self._in_memory)
        self._stops.append(self.azurite.stop)
        parts = (self.clock, self.recorder, self.faults)
        self.blob = Proxy("blob", self.azurite.blob, *parts)
        self.queue = Proxy("queue", self.azurite.queue, *parts)
        self.files = Files(*parts, self.keys)
        self.identity = Identity(*parts)
        self.slack = Slack(*parts)
        self.prices = Prices(*parts)
        self.vms = VmRunner(machines, *parts, self.image)
        self.consoles = Consoles(*parts)
        subscription = str(uuid.uuid4())
        self.arm = Arm(*parts, self.identity, subscription, self.vms.boot, self.consoles)
        password = f"{secrets.token_urlsafe(24)}~+/="
        self.recorder.plant("service principal password", password)
        self.recorder.plant("identity header", self.identity.header)
        self.principal = Principal(str(uuid.uuid4()), str(uuid.uuid4()), password)
        self.identity.principals.append(self.principal)
        for service in (
            self.blob,
            self.queue,
            self.files,
            self.identity,
            self.slack,
            self.prices,
            self.consoles,
            self.arm,
        ):
            service.start()
            self._stops.append(service.stop)
        for name, extra in self._wanted.items():
            self.apps[name] = App(self, name, extra)
        for app in self.apps.values():
            if self._hosts:
                app.start_host(self._options)

    def connections(self) -> dict[str, int]:
        """Return how many connections each service was ever asked for."""
        services = (self.blob, self.queue, self.files, self.identity, self.slack, self.arm)
        return {service.name: service.connections for service in services}

    def save_record(self, path: Path) -> None:
        """Write all traffic and all printed lines as JSON lines."""
        self.recorder.save(path)

    def close(self) -> None:
        """Stop hosts, machines and servers, and remove the temporary folder."""
        for app in getattr(self, "apps", {}).values():
            for host in app.hosts:
                host.stop()
        while self._stops:
            self._stops.pop()()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _account(name: str) -> str:
    """Return a storage account name for an app: lower case, unique, 3 to 24 characters."""
    plain = "".join(c for c in name.lower() if c.isascii() and c.isalnum())[:12]
    return f"{plain}{hashlib.sha256(name.encode()).hexdigest()[:8]}"
