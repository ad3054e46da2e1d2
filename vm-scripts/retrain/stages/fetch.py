"""fetch: the zip from the share, in pieces that can be continued, the same file throughout; then
the line's validation zip, when it has one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..context import Context
from ..failure import Failure, bad_zip
from ..files import sha256_file
from ..job import Job
from ..net import NetFailure

PIECE = 16 << 20
TIMES_THE_ZIP = 3
SPARE_GIB = 20.0
"""Free disk that training wants beside the pictures; RETRAIN_SPARE_GIB says another number where a
machine of another kind plays the VM."""


@dataclass(frozen=True)
class Fetched:
    """The zip on this machine, and the line's validation zip."""

    path: Path
    sha256: str
    validation: Path | None = None


def fetch(context: Context, job: Job) -> Fetched:
    """Bring the zip; fails when it is not the file that was accepted (ETag, size, sha256)."""
    context.work.mkdir(parents=True, exist_ok=True)
    path = context.work / "dataset.zip"
    if job.zip_size <= 0:
        raise bad_zip(job.zip_name, "cannot be opened: it is empty (still uploading?)")
    _check_disk(job, path)
    _bring(context, job, path)
    digest = sha256_file(path)
    if job.dataset_sha256 and digest != job.dataset_sha256.lower():
        raise bad_zip(
            job.zip_name,
            f"its sha256 is {digest}, the message says {job.dataset_sha256}; upload it again",
        )
    return Fetched(path, digest, _validation(context, job))


def _check_disk(job: Job, path: Path) -> None:
    """Before the first piece; what a former start left is not judged again."""
    if path.exists():
        return
    spare = float(os.environ.get("RETRAIN_SPARE_GIB", SPARE_GIB))
    free = shutil.disk_usage(path.parent).free / (1 << 30)
    zip_gib = job.zip_size / (1 << 30)
    needed = TIMES_THE_ZIP * zip_gib + spare
    if free < needed:
        raise Failure(
            f"zip `{job.zip_name}` of {zip_gib:.1f} GiB needs {needed:.1f} GiB of free disk "
            f"({TIMES_THE_ZIP} times its size and {spare:.0f} GiB for the training), the VM has "
            f"{free:.1f} GiB; export fewer or smaller images"
        )


def _bring(context: Context, job: Job, path: Path) -> None:
    link = job.link("zip")
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


def _validation(context: Context, job: Job) -> Path | None:
    """The line's validation zip, fetched anew by each start: nobody said which file it is, so only
    one that stays the same from the first piece to the last is whole."""
    if "validation_zip" not in job.links:
        return None
    name, path = f"validation/{job.line}.zip", context.work / "validation.zip"
    link, etag, size = job.links["validation_zip"], None, 1
    with path.open("wb") as sink:
        while (first := sink.tell()) < size:
            try:
                reply = context.net.read_piece(link, first, first + PIECE - 1)
            except NetFailure as problem:
                if problem.status == 404 and first == 0:
                    context.warn(f"`{name}` is no longer in share `train`; judged without it")
                    return None
                raise Failure(f"`{name}` could not be fetched: {problem}") from None
            total = reply.headers.get("content-range", "").rpartition("/")[2]
            size = int(total) if total.isdigit() else len(reply.body)
            seen = (_bare(reply.headers.get("etag", "")), size)
            etag = etag or seen
            if seen != etag or not reply.body:
                raise bad_zip(name, "it was changed while it was fetched; send the message again")
            sink.write(reply.body)
    context.log.info("fetch: %s, %d bytes", name, size)
    return path


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _changed(job: Job) -> Failure:
    return bad_zip(
        job.zip_name,
        "it was changed after the job was accepted; send the message again when the upload is over",
    )
