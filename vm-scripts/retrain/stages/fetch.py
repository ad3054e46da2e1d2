"""fetch: the zip from the share, in pieces that can be continued, the same file throughout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..context import Context
from ..failure import Failure, bad_zip
from ..files import sha256_file
from ..job import Job
from ..net import NetFailure

PIECE = 16 << 20


@dataclass(frozen=True)
class Fetched:
    """The zip on this machine."""

    path: Path
    sha256: str


def fetch(context: Context, job: Job) -> Fetched:
    """Bring the zip; fails when it is not the file that was accepted (ETag, size, sha256)."""
    context.work.mkdir(parents=True, exist_ok=True)
    path = context.work / "dataset.zip"
    link = job.link("zip")
    if job.zip_size <= 0:
        raise bad_zip(job.zip_name, "cannot be opened: it is empty (still uploading?)")
    with path.open("ab") as sink:
        if sink.tell() > job.zip_size:
            sink.truncate(0)
        context.log.info("fetch: %s, %d bytes, %d here", job.zip_name, job.zip_size, sink.tell())
        while (first := sink.tell()) < job.zip_size:
            last = min(first + PIECE, job.zip_size) - 1
            try:
                reply = context.net.read_piece(link, first, last)
            except NetFailure as problem:
                if problem.status == 404:
                    raise bad_zip(job.zip_name, "it is no longer in share `train`") from None
                if problem.status == 416:
                    raise _changed(job) from None
                raise Failure(f"the zip could not be fetched: {problem}") from None
            if _bare(reply.headers.get("etag", "")) != _bare(job.zip_etag):
                sink.truncate(0)
                raise _changed(job)
            total = reply.headers.get("content-range", "").rpartition("/")[2]
            if len(reply.body) != last - first + 1 or (
                total.isdigit() and int(total) != job.zip_size
            ):
                sink.truncate(0)
                raise _changed(job)
            sink.write(reply.body)
    digest = sha256_file(path)
    if job.dataset_sha256 and digest != job.dataset_sha256.lower():
        raise bad_zip(
            job.zip_name,
            f"its sha256 is {digest}, the message says {job.dataset_sha256}; upload it again",
        )
    return Fetched(path, digest)


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _changed(job: Job) -> Failure:
    return bad_zip(
        job.zip_name,
        "it was changed after the job was accepted; send the message again when the upload is over",
    )
