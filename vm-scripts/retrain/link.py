"""A link with a signature in it: prints without it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_SIGNATURE = re.compile(r"\bsig=[^&\s\"'<>]+", re.IGNORECASE)


class Link:
    """A SAS URL. ``str``, ``repr`` and format show scheme, host and path, never the query."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def __repr__(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a link is not copied or written anywhere")

    def reveal(self) -> str:
        """The whole URL, for the one module that opens sockets."""
        return self._url


def redact(text: str) -> str:
    """``text`` without the query of any URL and without any ``sig=`` value."""
    return _SIGNATURE.sub("sig=...", _QUERY.sub(r"\1?...", text))
