"""What runs on the training VM once Python is there. ``vm-scripts/README.md`` is the map."""

import sys

# OpenVINO reports each import to its maker when this package can be imported; with None in its
# place OpenVINO takes its own stand-in, and no module but net.py opens a socket.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
