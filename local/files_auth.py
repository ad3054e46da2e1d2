"""Checks Shared Key signatures and service SAS of Azure Files, written apart from the handler's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
SAS_FIELDS = ("sip", "spr", "sv", "rscc", "rscd", "rsce", "rscl", "rsct")
MAX_SKEW_S = 15 * 60


class Refused(Exception):
    """The request is not allowed; `status` and `code` are Azure's."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        """Keep the answer to give; `detail` may be shown to the caller."""
        super().__init__(detail)
        self.status = status
        self.code = code


def sign(key: str, text: str) -> str:
    """Return the base64 HMAC-SHA256 of `text` under a base64 `key`."""
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def shared_key_text(account: str, method: str, target: str, headers: Mapping[str, str]) -> str:
    """Return the string to sign of a request; header names in any case."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    if lower.get("content-length") == "0":
        lower["content-length"] = ""
    if "x-ms-date" in lower:
        lower["date"] = ""
    lines = [method] + [lower.get(name, "") for name in SIGNED_HEADERS]
    lines += [f"{name}:{lower[name]}" for name in sorted(lower) if name.startswith("x-ms-")]
    path, _, query = target.partition("?")
    lines.append(f"/{account}{path}")
    values: dict[str, list[str]] = {}
    for piece in filter(None, query.split("&")):
        name, _, value = piece.partition("=")
        name = urllib.parse.unquote(name).lower()
        values.setdefault(name, []).append(urllib.parse.unquote(value))
    lines += [f"{name}:{','.join(sorted(values[name]))}" for name in sorted(values)]
    return "\n".join(lines)


def sas_text(account: str, path: str, query: Mapping[str, str]) -> str:
    """Return the string to sign of a service SAS; `path` is share[/directory/file], decoded."""
    head = [query.get("sp", ""), query.get("st", ""), query.get("se", "")]
    middle = [f"/file/{account}/{path}", query.get("si", "")]
    return "\n".join(head + middle + [query.get(name, "") for name in SAS_FIELDS])


def check_shared_key(
    keys: Mapping[str, str],
    account: str,
    method: str,
    target: str,
    headers: Mapping[str, str],
    clocks: Sequence[float],
) -> None:
    """Check an Authorization header; its time must fit one of the `clocks`. Raises Refused."""
    scheme, _, rest = headers.get("Authorization", "").partition(" ")
    name, _, signature = rest.partition(":")
    if scheme != "SharedKey" or name != account:
        raise Refused(403, "AuthenticationFailed", "the Authorization header is not SharedKey")
    stamp = headers.get("x-ms-date") or headers.get("Date") or ""
    try:
        sent = parsedate_to_datetime(stamp).timestamp()
    except ValueError:
        raise Refused(403, "AuthenticationFailed", "x-ms-date is missing") from None
    if all(abs(sent - now) > MAX_SKEW_S for now in clocks):
        raise Refused(403, "AuthenticationFailed", "x-ms-date is more than 15 minutes off")
    text = shared_key_text(account, method, target, headers)
    if not hmac.compare_digest(sign(keys[account], text), signature):
        raise Refused(403, "AuthenticationFailed", f"the server signed {text!r}")


def check_sas(
    keys: Mapping[str, str],
    account: str,
    resource: list[str],
    query: Mapping[str, str],
    needed: str,
    now: float,
) -> None:
    """Check a SAS for one of the permissions in `needed` on share/path. Raises Refused.

    needed -- letters, any one of which will do; empty when no service SAS allows the operation
    """
    kind = query.get("sr")
    if kind not in ("f", "s") or "sv" not in query:
        raise Refused(403, "AuthenticationFailed", "sr must be f or s, and sv given")
    path = "/".join(resource if kind == "f" else resource[:1])
    text = sas_text(account, path, query)
    if not hmac.compare_digest(sign(keys[account], text), query.get("sig", "")):
        raise Refused(403, "AuthenticationFailed", "the signature does not fit")
    if "st" in query and now < sas_time(query["st"]):
        raise Refused(403, "AuthenticationFailed", "the SAS is not valid yet")
    if "se" not in query or now >= sas_time(query["se"]):
        raise Refused(403, "AuthenticationFailed", "the SAS has expired")
    if "http" not in query.get("spr", "https,http").split(","):
        raise Refused(403, "AuthorizationProtocolMismatch", "the SAS is for https only")
    if not set(needed) & set(query.get("sp", "")):
        raise Refused(403, "AuthorizationPermissionMismatch", "the SAS does not allow this")


def sas_time(text: str) -> float:
    """Return seconds since 1970 of a SAS time. Raises Refused when it is none."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    raise Refused(403, "AuthenticationFailed", "a time of the SAS cannot be read")
