"""The queue operations of the Functions host, straight at Azurite with the official SDK."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Sequence

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import QueueClient, QueueMessage

NO_RETRY = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 30}


class Queues:
    """Queues of one account by name; a missing queue is empty, not an error."""

    def __init__(self, connection: str) -> None:
        """Use a connection string that points at Azurite itself."""
        self._connection = connection
        self._lock = threading.Lock()
        self._clients: dict[str, QueueClient] = {}

    def fetch(self, queue: str, count: int, lease_s: int) -> Sequence[QueueMessage]:
        """Return up to `count` messages, leased for `lease_s` seconds of moved time."""
        try:
            pages = self._client(queue).receive_messages(
                max_messages=count, messages_per_page=count, visibility_timeout=lease_s
            )
            return list(pages)
        except AzureError:
            return []

    def delete(self, queue: str, message: str, receipt: str) -> None:
        """Delete a message; one that is gone or leased by another is left."""
        try:
            self._client(queue).delete_message(message, receipt)
        except AzureError:
            return

    def release(self, queue: str, message: str, receipt: str, seconds: float) -> None:
        """Let a failed message appear again after `seconds`."""
        self.renew(queue, message, receipt, int(seconds))

    def renew(self, queue: str, message: str, receipt: str, seconds: int) -> str | None:
        """Lease a message anew and return its new receipt, None when the lease was lost."""
        try:
            updated = self._client(queue).update_message(
                message, receipt, visibility_timeout=seconds
            )
        except AzureError:
            return None
        return str(updated.pop_receipt)

    def poison(self, queue: str, message: QueueMessage, receipt: str) -> None:
        """Copy a message's text as it is to `<queue>-poison`, then delete it."""
        self.send_text(f"{queue}-poison", message.content)
        self.delete(queue, message.id, receipt)

    def send(self, queue: str, data: bytes, encoding: str) -> None:
        """Send bytes by the host's messageEncoding."""
        text = data.decode() if encoding == "none" else base64.b64encode(data).decode()
        self.send_text(queue, text)

    def send_text(self, queue: str, text: str) -> None:
        """Put a text as it is; the queue is made when missing."""
        client = self._client(queue)
        try:
            client.send_message(text)
        except ResourceNotFoundError:
            self.create(queue)
            client.send_message(text)

    def create(self, queue: str) -> None:
        """Make a queue; one that is there stays as it is."""
        with contextlib.suppress(ResourceExistsError):
            self._client(queue).create_queue()

    def peek(self, queue: str) -> list[str]:
        """Return the texts of up to 32 visible messages."""
        try:
            return [str(message.content) for message in self._client(queue).peek_messages(32)]
        except ResourceNotFoundError:
            return []

    def count(self, queue: str) -> int:
        """Return how many messages a queue holds, leased ones too."""
        try:
            return int(self._client(queue).get_queue_properties().approximate_message_count)
        except ResourceNotFoundError:
            return 0

    def _client(self, queue: str) -> QueueClient:
        with self._lock:
            if queue not in self._clients:
                self._clients[queue] = QueueClient.from_connection_string(
                    self._connection, queue, transport=RequestsTransport(), **NO_RETRY
                )
            return self._clients[queue]
