"""What the stand-in of ARM has to offer: regions, VM sizes, and vCPUs within limits."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

LOCATIONS = ("japaneast", "japanwest", "eastus", "eastus2", "westeurope", "koreacentral")
SKUS_VERSION = "2021-07-01"
REGIONAL = "cores"
SPOT = "lowPriorityCores"


@dataclass(frozen=True)
class Size:
    """A VM size."""

    name: str
    family: str
    vcpus: int
    memory: int
    spot: bool = True


SIZES = (
    Size("Standard_B2s", "standardBSFamily", 2, 4, spot=False),
    Size("Standard_D4s_v4", "standardDSv4Family", 4, 16),
    Size("Standard_D8s_v4", "standardDSv4Family", 8, 32),
    Size("Standard_D4s_v5", "standardDSv5Family", 4, 16),
    Size("Standard_D8s_v5", "standardDSv5Family", 8, 32),
    Size("Standard_D16s_v5", "standardDSv5Family", 16, 64),
    Size("Standard_F8s_v2", "standardFSv2Family", 8, 16),
    Size("Standard_NC6s_v3", "standardNCSv3Family", 6, 112),
)


@dataclass
class Quota:
    """Limits, and what others use; machines of the stand-in count on top.

    limits     -- vCPUs by name (REGIONAL, SPOT or a family) where they are not `usual`
    others     -- vCPUs that somebody else uses, by name
    restricted -- reason by size: not available to this subscription
    withdrawn  -- (size, region) that is not offered at all
    """

    sizes: tuple[Size, ...] = SIZES
    usual: int = 100_000
    limits: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    restricted: dict[str, str] = field(default_factory=dict)
    withdrawn: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def reset(self) -> None:
        """Offer everything again."""
        with self._lock:
            for part in (self.limits, self.others, self.restricted, self.withdrawn):
                part.clear()

    def usages(self, running: Iterable[tuple[str, bool]]) -> dict[str, Any]:
        """The body of `.../usages`, with machines that run: (size, Spot)."""
        names = [REGIONAL, SPOT, *dict.fromkeys(size.family for size in self.sizes)]
        used: Counter[str] = Counter()
        known = {size.name: size for size in self.sizes}
        for name, spot in running:
            if name not in known:
                continue
            size = known[name]
            for counted in (SPOT,) if spot else (REGIONAL, size.family):
                used[counted] += size.vcpus
        with self._lock:
            used.update(self.others)
            value = [
                {
                    "limit": self.limits.get(name, self.usual),
                    "unit": "Count",
                    "currentValue": used[name],
                    "name": {"value": name, "localizedValue": _localized(name)},
                }
                for name in names
            ]
        return {"value": value}

    def skus(self, region: str) -> dict[str, Any]:
        """The body of `.../skus` for a region: sizes among other things that have SKUs."""
        with self._lock:
            value = [
                self._sku(size, region)
                for size in self.sizes
                if (size.name, region) not in self.withdrawn
            ]
        return {"value": [_disk(region), *value]}

    def _sku(self, size: Size, region: str) -> dict[str, Any]:
        reason = self.restricted.get(size.name)
        restriction = {
            "type": "Location",
            "values": [region],
            "restrictionInfo": {"locations": [region]},
            "reasonCode": reason,
        }
        return {
            "resourceType": "virtualMachines",
            "name": size.name,
            "tier": "Standard",
            "size": size.name.removeprefix("Standard_"),
            "family": size.family,
            "locations": [region],
            "locationInfo": [{"location": region, "zones": ["1", "2", "3"], "zoneDetails": []}],
            "capabilities": [
                {"name": "vCPUs", "value": str(size.vcpus)},
                {"name": "MemoryGB", "value": str(size.memory)},
                {"name": "HyperVGenerations", "value": "V1,V2"},
                {"name": "CpuArchitectureType", "value": "x64"},
                {"name": "LowPriorityCapable", "value": str(size.spot)},
                {"name": "PremiumIO", "value": "True"},
            ],
            "restrictions": [restriction] if reason else [],
        }


def _localized(name: str) -> str:
    known = {REGIONAL: "Total Regional vCPUs", SPOT: "Total Regional Low-priority vCPUs"}
    return known.get(name, f"{name.removesuffix('Family')} Family vCPUs")


def _disk(region: str) -> dict[str, Any]:
    return {
        "resourceType": "disks",
        "name": "StandardSSD_LRS",
        "tier": "Standard",
        "size": "E6",
        "locations": [region],
        "locationInfo": [{"location": region, "zones": []}],
        "capabilities": [{"name": "MaxSizeGiB", "value": "64"}],
        "restrictions": [],
    }
