"""Makes latency_table_v1.db, a latency table of the first schema.

    python tests/golden/make_latency_table_v1.py tests/golden/latency_table_v1.db

Run once per schema, with the version that wrote it; the file is then never made again.
"""

import sys
from pathlib import Path

from fleetnas_latency.judgement import Verdict
from fleetnas_latency.operator_text import operator_key
from fleetnas_latency.repository import EntrySource, LatencyEntry, Observation, ObservationKind
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.table import open_table
from fleetnas_latency.target import Target
from fleetnas_search_spaces.operators import Operator, OperatorKind

TARGET = Target("golden board", "onnxruntime", "1.0", core_set="0", statistic="cpu_p10", stand_in="replay")
BLOCK = Operator(OperatorKind.INVERTED_RESIDUAL, 32, 64, 16, kernel_px=3, stride=2, padding_px=1, expansion=6)


def main(path: Path) -> None:
    table = open_table(path)
    table.put_observations(
        [
            Observation(
                "network-1",
                TARGET,
                ObservationKind.NETWORK,
                "nas-bench-macro/32/2,2,2,2,2,2,2,2",
                Estimate(10.0, 9.9, 10.1),
                Verdict.OK,
                1_000.0,
                space="nas-bench-macro",
                ratio=Estimate(2.5, 2.45, 2.55),
                anchor_key="nas-bench-macro/32/0,0,0,0,0,0,0,0",
                anchor_ms=4.0,
                agent="golden",
                model_sha256="0" * 64,
            ),
            Observation(
                "block-1",
                TARGET,
                ObservationKind.OPERATOR,
                operator_key(BLOCK),
                Estimate(1.0, 0.9, 1.1),
                Verdict.CONTENDED,
                1_001.0,
                operator=BLOCK,
                source=EntrySource.IMPORTED,
            ),
        ]
    )
    entry = LatencyEntry(
        operator_key(BLOCK), 1.25, 0.1, EntrySource.LEARNED, 1, 1_002.0, "nas-bench-macro", BLOCK
    )
    table.put_entries(TARGET, "nas-bench-macro", [entry])
    table.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
