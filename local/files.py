"""Azure Files over REST: shares, directories, files and ranges."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from email.utils import formatdate
from xml.sax.saxutils import escape

from local.clock import Clock
from local.faults import Faults
from local.files_auth import Refused, check_sas, check_shared_key
from local.files_store import Node, Store, exists, find, find_file, refused, siblings_of
from local.recorder import Recorder
from local.service import Request, Response, Service

MAX_RANGE = 4 << 20
RANGE = re.compile(r"bytes=(\d+)-(\d*)")
STANDARD_TIME = "2026-01-01T00:00:00.0000000Z"


class Files(Service):
    """The Files endpoint of several accounts, path style: http://host/<account>/<share>/..."""

    name = "files"

    def __init__(
        self, clock: Clock, recorder: Recorder, faults: Faults, keys: dict[str, str]
    ) -> None:
        """Serve the accounts in `keys` (name -> key, base64)."""
        super().__init__(clock, recorder, faults)
        self.keys = keys
        self._lock = threading.RLock()
        self._store = Store(clock, keys)

    def handle(self, request: Request) -> Response:
        """Check the caller, then answer; errors come in Azure's XML."""
        segments = request.segments()
        query = request.query
        account, resource = (segments[0], segments[1:]) if segments else ("", [])
        if account not in self.keys:
            return _error(Refused(404, "ResourceNotFound", "no such account"))
        try:
            self._authorize(request, account, resource, query)
            with self._lock:
                return self._route(request, self._store.shares[account], resource, query)
        except Refused as error:
            return _error(error)

    def _authorize(
        self, request: Request, account: str, resource: list[str], query: dict[str, str]
    ) -> None:
        now = self.clock.now()
        if "sig" in query:
            needed = _permission(request, query, exists(self._store.shares[account], resource))
            check_sas(self.keys, account, resource, query, needed, now)
            return
        headers = dict(request.headers.items())
        if "Authorization" not in headers:
            raise Refused(401, "NoAuthenticationInformation", "no Authorization header, no SAS")
        # People's programs are not on the moved clock, so the machine's own time is good too.
        clocks = (now, time.time())
        check_shared_key(self.keys, account, request.method, request.target, headers, clocks)

    def _route(
        self, request: Request, shares: dict[str, Node], resource: list[str], query: dict[str, str]
    ) -> Response:
        kind, comp = query.get("restype", ""), query.get("comp", "")
        method = request.method
        if not resource:
            if method == "GET" and comp == "list":
                return self._list_shares(shares, query)
            raise refused("InvalidInput")
        if kind == "share":
            return self._share(method, shares, resource, comp)
        if kind == "directory":
            if comp == "list" and method == "GET":
                return self._list(shares, resource, query)
            return self._directory(request, shares, resource)
        if comp == "range" and method == "PUT":
            return self._put_range(request, find_file(shares, resource))
        if comp == "metadata" and method == "PUT":
            node = find_file(shares, resource)
            node.metadata = _metadata(request)
            return self._written(node, 200)
        if comp == "properties" and method == "PUT":
            return self._set_properties(request, find_file(shares, resource))
        if comp:
            raise refused("InvalidInput")
        if method == "PUT":
            return self._create_file(request, shares, resource)
        if method in ("GET", "HEAD"):
            return self._read(request, find_file(shares, resource))
        if method == "DELETE":
            node = find_file(shares, resource)
            siblings = find(shares, resource[:-1]).children or {}
            del siblings[node.name.lower()]
            return Response(202, _common())
        raise refused("UnsupportedHttpVerb")

    def _share(
        self, method: str, shares: dict[str, Node], resource: list[str], comp: str
    ) -> Response:
        name = resource[0]
        if method == "PUT" and not comp:
            if not re.fullmatch(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]", name):
                raise refused("InvalidResourceName")
            if name in shares:
                raise refused("ShareAlreadyExists")
            shares[name] = self._store.make(name, children={})
            return self._written(shares[name], 201)
        share = find(shares, [name])
        if method in ("GET", "HEAD"):
            return Response(200, _common() | self._state(share) | {"x-ms-share-quota": "5120"})
        if method == "DELETE":
            del shares[name]
            return Response(202, _common())
        raise refused("UnsupportedHttpVerb")

    def _directory(
        self, request: Request, shares: dict[str, Node], resource: list[str]
    ) -> Response:
        if request.method == "PUT":
            siblings = siblings_of(shares, resource)
            if resource[-1].lower() in siblings:
                raise refused("ResourceAlreadyExists")
            node = siblings[resource[-1].lower()] = self._store.make(resource[-1], children={})
            node.metadata = _metadata(request)
            return self._written(node, 201)
        node = find(shares, resource)
        if node.children is None:
            raise refused("ResourceTypeMismatch")
        if request.method in ("GET", "HEAD"):
            return Response(200, _common() | self._state(node) | _smb("Directory"))
        if request.method == "DELETE":
            if node.children:
                raise refused("DirectoryNotEmpty")
            del siblings_of(shares, resource)[node.name.lower()]
            return Response(202, _common())
        raise refused("UnsupportedHttpVerb")

    def _create_file(
        self, request: Request, shares: dict[str, Node], resource: list[str]
    ) -> Response:
        if request.headers.get("x-ms-type") != "file":
            raise refused("MissingRequiredHeader")
        length = request.headers.get("x-ms-content-length", "")
        if not length.isdigit():
            raise refused("MissingRequiredHeader")
        if request.body:
            raise refused("InvalidHeaderValue")
        siblings = siblings_of(shares, resource)
        before = siblings.get(resource[-1].lower())
        if before is not None and before.data is None:
            raise refused("ResourceTypeMismatch")
        node = siblings[resource[-1].lower()] = self._store.make(
            resource[-1], data=bytearray(int(length))
        )
        node.metadata = _metadata(request)
        node.content_type = request.headers.get("x-ms-content-type") or node.content_type
        node.content_md5 = request.headers.get("x-ms-content-md5") or ""
        return self._written(node, 201)

    def _put_range(self, request: Request, node: Node) -> Response:
        assert node.data is not None
        first, last = _range(request, len(node.data))
        if last >= len(node.data):
            raise refused("InvalidRange")
        write = request.headers.get("x-ms-write")
        if write == "clear":
            node.data[first : last + 1] = bytes(last - first + 1)
        elif write == "update":
            if len(request.body) > MAX_RANGE:
                raise refused("RequestBodyTooLarge")
            if len(request.body) != last - first + 1:
                raise refused("InvalidHeaderValue")
            node.data[first : last + 1] = request.body
        else:
            raise refused("MissingRequiredHeader")
        md5 = base64.b64encode(hashlib.md5(request.body).digest()).decode()
        return self._written(node, 201, {"Content-MD5": md5})

    def _set_properties(self, request: Request, node: Node) -> Response:
        assert node.data is not None
        length = request.headers.get("x-ms-content-length")
        if length is not None:
            size = int(length)
            node.data = node.data[:size] + bytes(max(0, size - len(node.data)))
        node.content_type = request.headers.get("x-ms-content-type") or node.content_type
        node.content_md5 = request.headers.get("x-ms-content-md5") or node.content_md5
        return self._written(node, 200)

    def _read(self, request: Request, node: Node) -> Response:
        assert node.data is not None
        size = len(node.data)
        headers = _common() | self._state(node) | _smb("Archive")
        headers |= {"Content-Type": node.content_type, "Accept-Ranges": "bytes"}
        headers |= {"x-ms-type": "File"}
        if node.content_md5:
            headers["Content-MD5"] = node.content_md5
        if request.method == "HEAD":
            return Response(200, headers | {"Content-Length": str(size)})
        if not (request.headers.get("x-ms-range") or request.headers.get("Range")):
            return Response(200, headers, bytes(node.data))
        first, last = _range(request, size)
        if first >= size:
            raise refused("InvalidRange")
        last = min(last, size - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        if node.content_md5:
            headers["x-ms-content-md5"] = headers.pop("Content-MD5")
        return Response(206, headers, bytes(node.data[first : last + 1]))

    def _list(
        self, shares: dict[str, Node], resource: list[str], query: dict[str, str]
    ) -> Response:
        directory = find(shares, resource)
        if directory.children is None:
            raise refused("ResourceTypeMismatch")
        prefix = query.get("prefix", "").lower()
        marker = query.get("marker", "")
        limit = int(query.get("maxresults") or 5000)
        names = sorted(n for n in directory.children if n.startswith(prefix) and n >= marker)
        entries = []
        for name in names[:limit]:
            node = directory.children[name]
            title = escape(node.name)
            if node.data is None:
                entries.append(f"<Directory><Name>{title}</Name><Properties /></Directory>")
            else:
                size = f"<Content-Length>{len(node.data)}</Content-Length>"
                entries.append(f"<File><Name>{title}</Name><Properties>{size}</Properties></File>")
        following = names[limit] if len(names) > limit else ""
        path = escape("/".join(resource[1:]))
        return _xml(
            f'<EnumerationResults ServiceEndpoint="{self.url}/" ShareName="{resource[0]}" '
            f'DirectoryPath="{path}"><Entries>{"".join(entries)}</Entries>'
            f"<NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
        )

    def _list_shares(self, shares: dict[str, Node], query: dict[str, str]) -> Response:
        prefix = query.get("prefix", "")
        entries = "".join(
            f"<Share><Name>{name}</Name><Properties><Last-Modified>"
            f"{formatdate(node.changed, usegmt=True)}</Last-Modified><Etag>{node.etag}</Etag>"
            "<Quota>5120</Quota></Properties></Share>"
            for name, node in sorted(shares.items())
            if name.startswith(prefix)
        )
        return _xml(
            f'<EnumerationResults ServiceEndpoint="{self.url}/"><Shares>{entries}</Shares>'
            "<NextMarker /></EnumerationResults>"
        )

    def _written(self, node: Node, status: int, extra: dict[str, str] | None = None) -> Response:
        self._store.touch(node)
        headers = _common() | self._state(node) | _smb("Archive") | (extra or {})
        return Response(status, headers | {"x-ms-request-server-encrypted": "true"})

    @staticmethod
    def _state(node: Node) -> dict[str, str]:
        state = {"ETag": node.etag, "Last-Modified": formatdate(node.changed, usegmt=True)}
        return state | {f"x-ms-meta-{name}": value for name, value in node.metadata.items()}


def _permission(request: Request, query: dict[str, str], exists: bool) -> str:
    """Return the SAS permissions that allow a request: any of the letters."""
    if query.get("comp") == "list":
        return "l"
    if query.get("restype"):
        return "r" if request.method in ("GET", "HEAD") and query["restype"] == "share" else "cw"
    if request.method in ("GET", "HEAD"):
        return "r"
    if request.method == "DELETE":
        return "d"
    if query.get("comp"):
        return "w"
    return "w" if exists else "cw"


def _range(request: Request, size: int) -> tuple[int, int]:
    found = RANGE.fullmatch(request.headers.get("x-ms-range") or request.headers.get("Range") or "")
    if not found:
        raise refused("InvalidHeaderValue")
    first, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if last < first and found[2]:
        raise refused("InvalidHeaderValue")
    return first, last


def _metadata(request: Request) -> dict[str, str]:
    items = request.headers.items()
    return {k[10:]: v for k, v in items if k.lower().startswith("x-ms-meta-")}


def _common() -> dict[str, str]:
    return {
        "Server": "Windows-Azure-File/1.0 Microsoft-HTTPAPI/2.0",
        "x-ms-request-id": "00000000-0000-0000-0000-0000000000f1",
        "x-ms-version": "2025-07-05",
    }


def _smb(attributes: str) -> dict[str, str]:
    """Return the headers of a file that the official SDK insists on."""
    return {
        "x-ms-file-attributes": attributes,
        "x-ms-file-creation-time": STANDARD_TIME,
        "x-ms-file-last-write-time": STANDARD_TIME,
        "x-ms-file-change-time": STANDARD_TIME,
        "x-ms-file-permission-key": "1*1",
        "x-ms-file-id": "1",
        "x-ms-file-parent-id": "0",
    }


def _error(error: Refused) -> Response:
    body = f"<Error><Code>{error.code}</Code><Message>{escape(str(error))}</Message></Error>"
    response = _xml(body, error.status)
    response.headers["x-ms-error-code"] = error.code
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _xml(body: str, status: int = 200) -> Response:
    data = f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode()
    return Response(status, _common() | {"Content-Type": "application/xml"}, data)
