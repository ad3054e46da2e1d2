"""Paper, pen, letters and axes. Class names may have any letter: where the font lacks one, the
class's number is written instead of empty boxes (``words``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Point = tuple[float, float]

INK: Colour = (30, 30, 30)
PALE: Colour = (225, 225, 225)
PAPER: Colour = (255, 255, 255)
COLOURS: tuple[Colour, ...] = (
    (31, 119, 180), (214, 99, 12), (44, 150, 44), (200, 40, 45), (130, 90, 180), (130, 80, 70),
    (215, 100, 180), (110, 110, 110), (165, 165, 20), (20, 170, 190),
)  # fmt: skip
FONT_FILE = "fonts/ipaexg.ttf"
LONGEST_NAME = 24
NOT_A_LETTER = "\U0010ffff"


def colour(index: int) -> Colour:
    """One per class, again from the first when there are more than ten."""
    return COLOURS[index % len(COLOURS)]


@lru_cache(maxsize=8)
def font(size: int) -> Font:
    """IPAex Gothic (Latin, Japanese) of the package matplotlib-fontja; without it, Pillow's own."""
    spec = find_spec("matplotlib_fontja")
    for folder in spec.submodule_search_locations or [] if spec else []:
        path = Path(folder) / FONT_FILE
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)


@lru_cache(maxsize=512)
def can_write(text: str) -> bool:
    """Whether the font has every letter of ``text``."""
    letters = font(16)
    missing = bytes(letters.getmask(NOT_A_LETTER))
    return all(bytes(letters.getmask(c)) != missing for c in text if not c.isspace())


def words(classes: Sequence[str], index: int | None) -> str:
    """A class's name for a picture, shortened; its number (from 1, as in labels.json) when the font
    cannot write it; of a class that is no more, `other`."""
    if index is None or not 0 <= index < len(classes):
        return "other"
    name = " ".join(classes[index].split())
    if not can_write(name):
        return f"class {index + 1}"
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def paper(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A white picture and a pen for it."""
    image = Image.new("RGB", (width, height), PAPER)
    return image, ImageDraw.Draw(image)


class Axes:
    """A frame with ticks; y runs from 0 to 1, or to ``top``."""

    def __init__(
        self,
        pen: ImageDraw.ImageDraw,
        place: tuple[int, int, int, int],
        x_range: tuple[float, float],
        title: str,
        x_title: str,
        top: float = 1.0,
    ) -> None:
        self._pen, self._place = pen, place
        self._x, self._top = x_range, top
        left, upper, right, lower = place
        pen.text((left, upper - 30), title, INK, font(18))
        pen.text(((left + right) / 2, lower + 26), x_title, INK, font(14), anchor="ma")
        for step in range(6):
            value = top * step / 5
            y = self.at((x_range[0], value))[1]
            pen.line([(left, y), (right, y)], PALE)
            pen.text((left - 8, y), f"{value:.3g}", INK, font(13), anchor="rm")
        for value in _ticks(*x_range):
            x = self.at((value, 0))[0]
            pen.line([(x, lower), (x, lower + 5)], INK)
            pen.text((x, lower + 7), f"{value:g}", INK, font(13), anchor="ma")
        pen.rectangle(place, outline=INK)

    def at(self, point: Point) -> Point:
        """Where a point of the chart is on the paper."""
        left, upper, right, lower = self._place
        low, high = self._x
        x = left + (point[0] - low) / max(high - low, 1e-9) * (right - left)
        return x, lower - min(max(point[1] / self._top, 0.0), 1.0) * (lower - upper)

    def line(self, points: Sequence[Point], ink: Colour, dots: bool = False) -> None:
        """A curve through points."""
        places = [self.at(point) for point in points]
        if len(places) > 1:
            self._pen.line(places, ink, 2, joint="curve")
        for x, y in places if dots or len(places) == 1 else []:
            self._pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ink)

    def legend(self, rows: Sequence[tuple[str, Colour]]) -> None:
        """Names of curves, right of the frame."""
        _, upper, right, _ = self._place
        for number, (text, ink) in enumerate(rows):
            y = upper + 10 + 22 * number
            self._pen.line([(right + 14, y), (right + 38, y)], ink, 3)
            self._pen.text((right + 46, y), text, INK, font(14), anchor="lm")


def _ticks(low: float, high: float) -> list[float]:
    """At most about ten round values."""
    span = max(high - low, 1e-9)
    step = next(s for s in (0.1, 0.2, 0.5, *_STEPS) if span / s <= 10)
    first = -(-low // step)
    count = int((high - first * step) / step + 1e-9) + 1
    return [round((first + number) * step, 6) for number in range(count)]


_STEPS = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]
