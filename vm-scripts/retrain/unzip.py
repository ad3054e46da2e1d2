"""A zip that anybody may have made, unpacked without harm.

Members are written under numbers, never under their own names, so that no name can lead anywhere
and any name works. What comes back maps each member's clean name (Unicode NFC, ``/`` between
folders, a single folder around everything taken off) to its file.
"""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from .failure import Failure, bad_zip, some

MAX_MEMBERS = 200_000
RATIO = 200
RATIO_FROM = 128 << 20
_UTF8_FLAG = 0x800
_ENCRYPTED = 0x1
_JUNK_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_OWN_FOLDERS = frozenset({"images", "annotations"})


def clean_name(info: zipfile.ZipInfo) -> str:
    """The member's name as its maker meant it.

    Without the UTF-8 flag Python reads cp437; such a name is UTF-8 from tools that forget the flag,
    else cp932 from Japanese Windows.
    """
    name = info.orig_filename if hasattr(info, "orig_filename") else info.filename
    if not info.flag_bits & _UTF8_FLAG:
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "cp932"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    name = unicodedata.normalize("NFC", name.split("\0")[0].replace("\\", "/"))
    # `./a` and `a//b`, as some packers write them. The first part stays: `/a` is no `a`.
    first, *others = name.removeprefix("./").split("/")
    return "/".join([first, *(o for o in others[:-1] if o not in ("", ".")), *others[-1:]])


def _is_junk(name: str) -> bool:
    parts = name.lower().split("/")
    return parts[0] == "__macosx" or parts[-1] in _JUNK_FILES or parts[-1].startswith("._")


def _leads_out(name: str) -> bool:
    return name.startswith("/") or bool(re.match(r"[A-Za-z]:", name)) or ".." in name.split("/")


def _chosen(zip_name: str, infos: list[zipfile.ZipInfo]) -> list[tuple[str, zipfile.ZipInfo]]:
    """The members to unpack; raises ``Failure`` for a zip that is not to be trusted."""
    if len(infos) > MAX_MEMBERS:
        raise bad_zip(zip_name, f"{len(infos)} files, at most {MAX_MEMBERS} are allowed")
    named = [(clean_name(info), info) for info in infos]
    outside = [name for name, _ in named if _leads_out(name)]
    if outside:
        raise bad_zip(zip_name, f"a name leads out of the zip: {some(outside)}")
    links = [name for name, info in named if stat.S_ISLNK(info.external_attr >> 16)]
    if links:
        raise bad_zip(zip_name, f"links are not allowed in it: {some(links)}")
    files = [(n, i) for n, i in named if n.split("/")[-1] not in ("", ".") and not _is_junk(n)]
    if any(info.flag_bits & _ENCRYPTED for _, info in files):
        raise bad_zip(zip_name, "it has a password; export it without one")
    seen: set[str] = set()
    twice = sorted({name for name, _ in files if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twice:
        raise bad_zip(zip_name, f"a name is in it twice: {some(twice)}")
    return files


def _check_room(zip_name: str, path: Path, files: list[tuple[str, zipfile.ZipInfo]]) -> None:
    total = sum(info.file_size for _, info in files)
    packed = max(path.stat().st_size, 1)
    if total > RATIO_FROM and total > RATIO * packed:
        raise bad_zip(
            zip_name,
            f"{packed} bytes would unfold to {total} (over {RATIO} times); refused as a zip bomb",
        )
    free = shutil.disk_usage(path.parent).free
    if total > free * 0.8:
        raise bad_zip(
            zip_name, f"needs {total >> 20} MiB unpacked, the VM has {free >> 20} MiB of disk left"
        )


def _without_shell(files: dict[str, Path]) -> dict[str, Path]:
    """Take off one folder that is around everything."""
    tops = {PurePosixPath(name).parts[0] for name in files}
    if len(tops) != 1 or any("/" not in name for name in files) or tops <= _OWN_FOLDERS:
        return files
    return {name.split("/", 1)[1]: path for name, path in files.items()}


def unpack(path: Path, folder: Path, zip_name: str) -> dict[str, Path]:
    """Unpack ``path`` into the fresh ``folder``; clean name -> file. Raises ``Failure``."""
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            files = _chosen(zip_name, archive.infolist())
            _check_room(zip_name, path, files)
            made: dict[str, Path] = {}
            for number, (name, info) in enumerate(files):
                target = folder / f"{number:06d}{PurePosixPath(name).suffix.lower()[:8]}"
                target = target if target.name.isascii() else folder / f"{number:06d}"
                try:
                    with archive.open(info) as source, target.open("wb") as sink:
                        shutil.copyfileobj(source, sink, 1 << 20)
                except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
                    if isinstance(error, OSError) and error.errno is not None:
                        raise  # of the disk; the bz2 module's own has no number
                    raise bad_zip(
                        zip_name,
                        f"cannot be opened (still uploading, or damaged?): `{name}` is broken "
                        f"({type(error).__name__})",
                    ) from None
                made[name] = target
    except NotImplementedError:
        raise bad_zip(
            zip_name,
            "it is packed in a way that is not known here; pack it anew as a plain zip",
        ) from None
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        if isinstance(error, Failure):
            raise
        raise bad_zip(zip_name, "cannot be opened (still uploading, or damaged?)") from None
    return _without_shell(made)
