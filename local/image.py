"""Makes the disk of a VM for `qemu` mode: a small Debian from Debian's packages, kept in .cache.

Two layers, each kept under a hash of what it is made from: a plain system (mmdebstrap), and the
disk, for which vm-scripts/image/prepare has run inside that system as it would on a real machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.paths import ROOT, UV_CACHE

CACHE = ROOT / ".cache" / "vm-image"
SUITE = "bookworm"
PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "curl",
    "dbus",
    "initramfs-tools",
    "iproute2",
    "linux-image-cloud-amd64",
    "python3",
    "systemd-sysv",
    "udev",
    "zstd",
)
SIZE_GB = 28
"""A job wants 20 GB free. The file has holes: what is not written takes no place."""
MKE2FS = ("mke2fs", "-q", "-t", "ext4", "-N", "200000")
NEEDED = ("mmdebstrap", "mke2fs", "unshare", "chroot")
LABEL = "retrain-root"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""Whom this machine trusts: the way to the package index may lead through a proxy of its own."""

CLOUD_CFG = """# The seed is a disk; nothing else is asked, as on Azure nothing but Azure is.
datasource_list: [NoCloud]
# Only modules that have something to do here: each costs a second under emulation.
cloud_init_modules: [seed_random, bootcmd, write-files, set_hostname]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-vendor, scripts-per-once, scripts-per-boot, scripts-per-instance,
  scripts-user, final-message]
"""

HANDS = """# A root shell on the second serial line: the hands of whoever tests this machine.
[Unit]
DefaultDependencies=no
After=local-fs.target

[Service]
ExecStart=/bin/bash --norc
StandardInput=tty
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Restart=always
KillSignal=SIGKILL

[Install]
WantedBy=sysinit.target
"""

IDLE = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "getty@tty1.service", "getty-static.service"),
    *("serial-getty@ttyS0.service", "systemd-logind.service", "systemd-pstore.service"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount", "modprobe@drm.service"),
    *("modprobe@fuse.service", "modprobe@loop.service", "modprobe@dm_mod.service"),
    *("modprobe@efi_pstore.service", "systemd-update-utmp.service"),
    "systemd-update-utmp-runlevel.service",
)
"""Units of the plain system that do nothing for a training VM; each costs seconds of the boot."""

SETTLE = r"""
export DEBIAN_FRONTEND=noninteractive
printf 'MODULES=list\nCOMPRESS=zstd\n' >/etc/initramfs-tools/conf.d/small
printf 'virtio_pci\nvirtio_blk\next4\n' >>/etc/initramfs-tools/modules
update-initramfs -u >/dev/null
printf 'LABEL=@LABEL@ / ext4 errors=remount-ro 0 1\n' >/etc/fstab
printf '127.0.0.1 localhost train-vm\n' >/etc/hosts
echo train-vm >/etc/hostname
: >/etc/machine-id
systemctl enable --quiet systemd-networkd hands
systemctl mask --quiet @IDLE@
"""
"""Run once in the plain system."""

ENTER = """
mount --make-rprivate /
mkdir -p "$1/proc" "$1/dev" "$1/mnt/uv" "$1/mnt/brought"
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
mount --bind "$2" "$1/mnt/uv"
mount --bind "$3" "$1/mnt/brought"
: >"$1/mnt/certificates"
mount --bind "$4" "$1/mnt/certificates"
root=$1
shift 4
exec chroot "$root" "$@"
"""


class ImageError(Exception):
    """The disk cannot be made on this machine; says why."""


@dataclass(frozen=True)
class Image:
    """A disk with one ext4 file system, and what boots it."""

    disk: Path
    kernel: Path
    initrd: Path
    label: str = LABEL


def make(archive: Path) -> Image:
    """Return the disk prepared with a scripts archive; it is made when it is not there yet.

    Raises ImageError without root's rights or without the programs it takes.
    """
    if os.geteuid() != 0:
        raise ImageError("only root can make the disk of a VM (mmdebstrap, chroot)")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise ImageError(f"missing: {', '.join(missing)}")
    plain = _plain()
    prepare = ROOT / "vm-scripts" / "image" / "prepare"
    made_of = [
        plain.name.encode(),
        prepare.read_bytes(),
        archive.read_bytes(),
        str(SIZE_GB).encode(),
        " ".join(MKE2FS).encode(),
    ]
    folder = CACHE / f"disk-{_hash(made_of)}"
    if not folder.is_dir():
        _forget("disk-")
        _prepared(plain, prepare, archive, folder)
    return Image(folder / "disk.ext4", folder / "vmlinuz", folder / "initrd")


def _hash(parts: list[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _forget(kind: str) -> None:
    """Remove the former ones: each is hundreds of megabytes."""
    for path in CACHE.glob(f"{kind}*"):
        shutil.rmtree(path)


def _plain() -> Path:
    """Return the folder of the plain system."""
    settle = SETTLE.replace("@LABEL@", LABEL).replace("@IDLE@", " ".join(IDLE))
    made_of = [SUITE, *PACKAGES, CLOUD_CFG, HANDS, settle]
    folder = CACHE / f"plain-{_hash([text.encode() for text in made_of])}"
    if folder.is_dir():
        return folder
    _forget("plain-")
    fresh = folder.with_suffix(".new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    _run(
        ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
        + ["--aptopt=APT::Install-Recommends false", f"--include={','.join(PACKAGES)}"]
        + [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]
        + [SUITE, str(fresh), _mirror()]
    )
    (fresh / "etc/cloud/cloud.cfg.d/99-seed.cfg").write_text(CLOUD_CFG, encoding="utf-8")
    (fresh / "etc/systemd/system/hands.service").write_text(HANDS, encoding="utf-8")
    _inside(fresh, fresh / "mnt", ["/bin/sh", "-ec", settle])
    fresh.rename(folder)
    return folder


def _prepared(plain: Path, prepare: Path, archive: Path, folder: Path) -> None:
    """Run `prepare` in a copy of the plain system and make a disk of it."""
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    root, brought = fresh / "root", fresh / "brought"
    brought.mkdir(parents=True)
    shutil.copy(prepare, brought / "prepare")
    shutil.copy(archive, brought / "vm-scripts.tar.gz")
    _run(["cp", "--archive", "--reflink=auto", str(plain), str(root)])
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    _inside(root, brought, ["/mnt/brought/prepare", "/mnt/brought/vm-scripts.tar.gz"])
    (root / "etc/resolv.conf").unlink()
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (root / "boot").glob(f"{name}-*")
        shutil.move(found, fresh / name.removesuffix(".img"))
    disk = fresh / "disk.ext4"
    with disk.open("wb") as file:
        file.truncate(SIZE_GB << 30)
    eager = "lazy_itable_init=0,lazy_journal_init=0"  # else the machine would do it
    _run([*MKE2FS, "-E", eager, "-L", LABEL, "-d", str(root), str(disk)])
    shutil.rmtree(root)
    shutil.rmtree(brought)
    fresh.rename(folder)


def _inside(root: Path, brought: Path, words: list[str]) -> None:
    """Run a command in a system, with the network and the package cache of this machine."""
    UV_CACHE.mkdir(parents=True, exist_ok=True)
    passed = {k: v for k, v in os.environ.items() if re.fullmatch(r"(?i)(https?|no|all)_proxy", k)}
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "UV_CACHE_DIR": "/mnt/uv",
        "UV_LINK_MODE": "copy",
        "SSL_CERT_FILE": "/mnt/certificates",
        **passed,
    }
    _run(
        ["unshare", "--mount", "/bin/sh", "-ec", ENTER, "enter"]
        + [str(root), str(UV_CACHE), str(brought), CERTIFICATES, *words],
        environment,
    )


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        ["nice", "-n", "5", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise ImageError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}")


def _mirror() -> str:
    """Return the Debian mirror that this machine uses; Debian's own when it uses none."""
    sources = Path("/etc/apt")
    files = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]
    text = "\n".join(p.read_text(encoding="utf-8", errors="replace") for p in files if p.is_file())
    found = re.search(r"^(?:URIs:|deb\s(?:\[.*\])?)\s*(\S+/debian/?)(?:\s|$)", text, re.M)
    return found[1] if found else "http://deb.debian.org/debian"
