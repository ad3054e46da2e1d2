"""The stand-in of Azure's public price list. The prices are made up."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from local.clock import Clock
from local.faults import Faults
from local.recorder import Recorder
from local.service import Request, Response, Service

FILTER = re.compile(
    r"armRegionName eq '(?P<region>[^']+)' and armSkuName eq '(?P<size>[^']+)' "
    r"and serviceName eq 'Virtual Machines' and priceType eq 'Consumption'"
)
PATH = "/api/retail/prices"


class Prices(Service):
    """Prices of VM sizes by the hour. Values are case-sensitive, as in the real one.

    hourly    -- US dollars by size, Linux on demand; Spot costs a fifth, Windows twice
    page_size -- items of one page
    """

    name = "prices"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults) -> None:
        """Start with a price for each size that the stand-in of ARM offers."""
        super().__init__(clock, recorder, faults)
        self.page_size = 1000
        self.hourly: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Take the usual prices again."""
        self.hourly = {
            "Standard_B2s": 0.05,
            "Standard_D4s_v4": 0.25,
            "Standard_D8s_v4": 0.5,
            "Standard_D4s_v5": 0.26,
            "Standard_D8s_v5": 0.52,
            "Standard_D16s_v5": 1.04,
            "Standard_F8s_v2": 0.44,
            "Standard_NC6s_v3": 4.2,
        }

    def handle(self, request: Request) -> Response:
        """Answer a query, page by page."""
        if request.path != PATH or request.method != "GET":
            return Response(404)
        query = request.query
        wanted = FILTER.fullmatch(query.get("$filter", ""))
        if wanted is None or query.get("currencyCode") != "'USD'":
            return Response.json(400, {"Error": {"Code": "BadRequest", "Message": "not so"}})
        items = self._items(wanted["region"], wanted["size"])
        start = int(query.get("$skip", "0"))
        shown = items[start : start + self.page_size]
        more = start + len(shown) < len(items)
        link = urllib.parse.urlencode({**query, "$skip": str(start + len(shown))})
        return Response.json(
            200,
            {
                "BillingCurrency": "USD",
                "CustomerEntityId": "Default",
                "CustomerEntityType": "Retail",
                "Items": shown,
                "NextPageLink": f"{self.url}{PATH}?{link}" if more else None,
                "Count": len(shown),
            },
        )

    def _items(self, region: str, size: str) -> list[dict[str, Any]]:
        hourly = self.hourly.get(size)
        if hourly is None:
            return []
        plain = size.removeprefix("Standard_").replace("_", " ")
        series = f"Virtual Machines {plain} Series"
        kinds = [
            (f"{series} Windows", plain, hourly * 2),
            (series, f"{plain} Low Priority", hourly * 0.3),
            (series, f"{plain} Spot", hourly * 0.2),
            (series, plain, hourly),
        ]
        return [
            {
                "currencyCode": "USD",
                "tierMinimumUnits": 0.0,
                "retailPrice": round(price, 6),
                "unitPrice": round(price, 6),
                "armRegionName": region,
                "location": region,
                "effectiveStartDate": "2025-01-01T00:00:00Z",
                "meterName": sku,
                "productName": product,
                "skuName": sku,
                "serviceName": "Virtual Machines",
                "serviceFamily": "Compute",
                "unitOfMeasure": "1 Hour",
                "type": "Consumption",
                "isPrimaryMeterRegion": True,
                "armSkuName": size,
            }
            for product, sku, price in kinds
        ]
