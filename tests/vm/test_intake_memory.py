"""Memory of the intake: what 10,000 images need more than 100, which is the bench's claim."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.vm import fixtures, formats
from tests.vm.conftest import ROOT, SCRIPTS

MOST_MIB = 150
CLASSES = ("ok", "dent")

PROGRAM = """
import resource, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from tests.vm.bench import Bench
bench = Bench(Path(sys.argv[3]))
dataset = bench.check()
bench.split()
print(len(dataset.samples), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def png(number: int) -> bytes:
    """A picture of 8 x 8 that no other number gives."""
    image = Image.new("RGB", (8, 8), (number % 256, number // 256, 90))
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=0)
    return data.getvalue()


def needed_kib(folder: Path, title: str, count: int) -> int:
    """The most that check and split of ``count`` images have in memory, in a process of its own."""
    folder.mkdir()
    boxes = [fixtures.Shape(CLASSES[n % 2], (1.0, 1.0, 5.0, 4.0)) for n in range(6)]
    made = [fixtures.Picture(f"a_{n:05d}.png", png(n), (8, 8), boxes[:3]) for n in range(count)]
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name, data in formats.BOXES[title](made, CLASSES, "train"):
            archive.writestr(name, data)
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT), str(SCRIPTS), str(folder)],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert int(answer[0]) == count
    return int(answer[1])


@pytest.mark.parametrize("title", ["CVAT for images 1.1", "COCO 1.0"])
def test_ten_thousand_images_need_little_more_than_a_hundred(tmp_path: Path, title: str) -> None:
    few = needed_kib(tmp_path / "few", title, 100)
    many = needed_kib(tmp_path / "many", title, 10_000)
    print(json.dumps({"format": title, "few_mib": few >> 10, "many_mib": many >> 10}))
    assert (many - few) / 1024 < MOST_MIB
