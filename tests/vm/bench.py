"""The stages `check` and `split` on a zip, without a network."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from retrain.context import Context
from retrain.dataset import Dataset
from retrain.failure import Failure
from retrain.job import Job
from retrain.stages.check import check
from retrain.stages.fetch import Fetched
from retrain.stages.split import Split, split

from tests.vm import fixtures

SPLIT = {"job_id": "job-a", "train_share": 0.7, "seed": 1, "group": "none"}


def _context(home: Path) -> Context:
    nothing = cast(Any, None)
    net = cast(Any, SimpleNamespace())
    return Context(home, home, logging.getLogger("test"), net, nothing, nothing, nothing)


class Bench:
    """Runs the stages on a zip without a network: ``links`` hold what they lead to."""

    def __init__(self, folder: Path) -> None:
        self.zip = folder / "a.zip"
        self.folder = folder
        self.warnings: list[str] = []
        self.task = "detection"
        self.links: dict[str, bytes | None] = {}
        self.validation: Path | None = None

    def check(self, classes: list[str] | None = None) -> Dataset:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        context = self.context = _context(home)
        context.net.read = lambda link: cast(Any, link)  # a link is what it leads to
        context.results[Fetched] = Fetched(self.zip, "", self.validation)
        fields = {"zip_name": "a.zip", "classes": classes, "task": self.task, "line": "default"}
        self.job = cast(Job, SimpleNamespace(**fields, links=self.links, **SPLIT))
        try:
            dataset = check(context, self.job)
            context.results[Dataset] = dataset
            return dataset
        finally:
            self.warnings = context.warnings

    def split(self) -> Split:
        """The next stage, after ``check``."""
        try:
            return split(self.context, self.job)
        finally:
            self.warnings = self.context.warnings

    def warning(self, words: str) -> str:
        """The one warning that has these words."""
        found = [text for text in self.warnings if words in text]
        assert len(found) == 1, self.warnings
        return found[0]

    def refused(self, classes: list[str] | None = None) -> str:
        with pytest.raises(Failure) as caught:
            self.check(classes)
        assert (caught.value.exit_code, caught.value.status) == (2, "failed")
        assert caught.value.reason.startswith("E17 zip `a.zip`: ")
        return caught.value.reason.removeprefix("E17 zip `a.zip`: ")


def same(dataset: Dataset, made: list[fixtures.Picture]) -> bool:
    """Whether every box came through."""
    for sample, picture in zip(dataset.samples, made, strict=True):
        names = [dataset.classes[label] for label in sample.labels]
        boxes = [tuple(box) for box in sample.boxes]
        wanted = [(shape.label, shape.box) for shape in picture.shapes]
        if sample.name != picture.name or list(zip(names, boxes, strict=True)) != wanted:
            return False
        if sample.path.read_bytes() != picture.png:
            return False
    return True
