"""What Azure Files keeps: shares, directories and files of several accounts, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from local.clock import Clock
from local.files_auth import Refused

TEXTS = {
    "ShareNotFound": (404, "The specified share does not exist."),
    "ResourceNotFound": (404, "The specified resource does not exist."),
    "ParentNotFound": (404, "The specified parent path does not exist."),
    "ShareAlreadyExists": (409, "The specified share already exists."),
    "ResourceAlreadyExists": (409, "The specified resource already exists."),
    "ResourceTypeMismatch": (409, "The specified resource type does not match the existing type."),
    "DirectoryNotEmpty": (409, "The specified directory is not empty."),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "MissingRequiredHeader": (400, "A required HTTP header was not specified."),
    "InvalidHeaderValue": (400, "The value of one of the HTTP headers is invalid."),
    "InvalidInput": (400, "One of the request inputs is not valid."),
    "InvalidResourceName": (400, "The specified resource name contains invalid characters."),
    "RequestBodyTooLarge": (413, "The request body is too large."),
    "UnsupportedHttpVerb": (405, "The resource does not support the specified HTTP verb."),
}


@dataclass
class Node:
    """A share, a directory (`children` set) or a file (`data` set)."""

    name: str
    etag: str
    changed: float
    children: dict[str, Node] | None = None
    data: bytearray | None = None
    content_type: str = "application/octet-stream"
    content_md5: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class Store:
    """The shares of accounts; whatever is written gets a new ETag and the moved clock's time."""

    def __init__(self, clock: Clock, accounts: Iterable[str]) -> None:
        """Start without shares."""
        self.shares: dict[str, dict[str, Node]] = {name: {} for name in accounts}
        self._clock = clock
        self._writes = 0

    def make(
        self, name: str, children: dict[str, Node] | None = None, data: bytearray | None = None
    ) -> Node:
        """Return a new share, directory or file, which is nowhere yet."""
        return Node(name, self._etag(), self._clock.now(), children, data)

    def touch(self, node: Node) -> None:
        """Note that something was written."""
        node.etag, node.changed = self._etag(), self._clock.now()

    def _etag(self) -> str:
        self._writes += 1
        return f'"0x8DC{self._writes:012X}"'


def find(shares: dict[str, Node], resource: list[str]) -> Node:
    """Return a share, directory or file. Raises Refused."""
    node = shares.get(resource[0]) if resource else None
    if node is None:
        raise refused("ShareNotFound")
    for depth, piece in enumerate(resource[1:], start=2):
        following = (node.children or {}).get(piece.lower())
        if following is None:
            raise refused("ResourceNotFound" if depth == len(resource) else "ParentNotFound")
        node = following
    return node


def exists(shares: dict[str, Node], resource: list[str]) -> bool:
    """Say whether a share, directory or file is there."""
    try:
        find(shares, resource)
    except Refused:
        return False
    return True


def find_file(shares: dict[str, Node], resource: list[str]) -> Node:
    """Return a file. Raises Refused."""
    node = find(shares, resource)
    if node.data is None:
        raise refused("ResourceTypeMismatch" if len(resource) > 1 else "InvalidInput")
    return node


def siblings_of(shares: dict[str, Node], resource: list[str]) -> dict[str, Node]:
    """Return the children of the parent directory of `resource`. Raises Refused."""
    if len(resource) < 2:
        raise refused("InvalidInput")
    try:
        parent = find(shares, resource[:-1])
    except Refused as error:
        if error.code == "ShareNotFound":
            raise
        raise refused("ParentNotFound") from None
    if parent.children is None:
        raise refused("ParentNotFound")
    return parent.children


def refused(code: str) -> Refused:
    """Return the refusal with one of the codes in TEXTS."""
    status, text = TEXTS[code]
    return Refused(status, code, text)
