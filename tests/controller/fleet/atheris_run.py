"""Fuzzes the fleet's handlers and its store, led by the coverage of their code.

    python -m tests.controller.fleet.atheris_run -max_total_time=600 -len_control=0 -seed=1

Takes libFuzzer's own options; ends with an error and a file ``crash-*`` at the first broken promise. The first byte
of an input picks the target, the rest is what hypothesis draws from.
"""

import sys

import atheris

with atheris.instrument_imports(include=["fleetnas_controller", "fleetnas_latency", "fleetnas_protos"]):
    from tests.controller.fleet.fuzz_targets import TARGETS

_PROPERTIES = [target.hypothesis.fuzz_one_input for target in TARGETS.values()]  # type: ignore[attr-defined]


def one_input(data: bytes) -> None:
    if data:
        _PROPERTIES[data[0] % len(_PROPERTIES)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
