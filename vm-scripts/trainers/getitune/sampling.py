"""Batches that are never of one picture: batch normalisation cannot learn from one.

Each class is a sampler of the recipes that gives one index again when the last batch would be of
one picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class _NeverAlone:
    """``inner``: the sampler of the recipe."""

    def __init__(self, inner: Any, batch: int) -> None:
        self._inner, self._batch = inner, batch

    def _lone(self) -> bool:
        return len(self._inner) % self._batch == 1

    def __len__(self) -> int:
        return len(self._inner) + self._lone()

    def __iter__(self) -> Iterator[int]:
        first = None
        for index in self._inner:
            first = index if first is None else first
            yield index
        if first is not None and self._lone():
            yield first


class Balanced(_NeverAlone):
    """Getitune's: all classes equally often."""

    def __init__(self, dataset: Any, batch_size: int) -> None:
        from getitune.data.samplers.balanced_sampler import BalancedSampler

        super().__init__(BalancedSampler(dataset), batch_size)


class Shuffled(_NeverAlone):
    """Torch's: each picture once."""

    def __init__(self, dataset: Any, batch_size: int) -> None:
        from torch.utils.data import RandomSampler

        super().__init__(RandomSampler(dataset), batch_size)
