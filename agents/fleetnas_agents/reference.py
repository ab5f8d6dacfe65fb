"""What a network computes in ONNX Runtime, for a check of what it computes elsewhere.

``python -m fleetnas_agents.reference FILE.onnx`` prints one line of JSON: the output's digest, and the runtime.
"""

__all__ = ["main"]

import json
import sys
from pathlib import Path

from fleetnas_agents.runtimes.onnx_runtime import OnnxRuntime
from fleetnas_latency.digest import output_digest
from fleetnas_search_spaces.errors import FleetNASError


def main() -> int:
    runtime = OnnxRuntime()
    try:
        digest = output_digest(runtime.load(Path(sys.argv[1]), 1).output)
    except FleetNASError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"digest": digest, "runtime": f"{runtime.name} {runtime.version()}"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
