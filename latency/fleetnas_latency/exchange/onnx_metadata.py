"""What a network takes on a device, kept in its ONNX file."""

__all__ = ["read_onnx_latencies", "with_onnx_latency"]

from typing import Any

from fleetnas_latency.exchange.pack import Pack, read_pack, write_pack
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.repository import LatencyRepository
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError

_PREFIX = "fleetnas.latency/"
"""Before a target's key; the value is a pack of that target with this network alone."""


def with_onnx_latency(content: bytes, table: LatencyRepository, target: Target) -> bytes:
    """The same model with the network's good measurements on ``target`` in its metadata.

    Those of other targets stay, older ones of this target are replaced; weights in other files stay there.

    Raises:
        InvalidArgumentError: It is no ONNX file, or one that FleetNAS did not write.
        NotFoundError: The network was not measured well on the target.
    """
    model = _model(content)
    found = {one.key: one.value for one in model.metadata_props}
    key = found.get("architecture", "") if model.producer_name == "fleetnas" else ""
    if not key:
        raise InvalidArgumentError(
            "the file does not say which architecture it is: only networks that FleetNAS wrote can carry latencies."
        )
    good = [one for one in table.observations(target) if one.key == key and one.verdict is Verdict.OK]
    if not good:
        raise NotFoundError(
            f"'{key}' has no good measurement on '{target.key}': search or profile there, or import one, first."
        )
    found[_PREFIX + target.key] = write_pack(Pack(target, good))
    del model.metadata_props[:]
    for name, value in found.items():
        model.metadata_props.add(key=name, value=value)
    return bytes(model.SerializeToString(deterministic=True))


def read_onnx_latencies(content: bytes) -> tuple[Pack, ...]:
    """One pack for each target.

    Raises:
        InvalidArgumentError: It is no ONNX file, or there is no latency in it.
        DataLossError: A latency in it was changed since it was written, or is of a newer version.
    """
    texts = [one.value for one in _model(content).metadata_props if one.key.startswith(_PREFIX)]
    if not texts:
        raise InvalidArgumentError(
            "the ONNX file holds no latency: 'fleetnas latency export FILE.onnx' writes one into it."
        )
    return tuple(read_pack(one) for one in texts)


def _model(content: bytes) -> Any:
    import onnx

    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's error is another class in each of its implementations
        raise InvalidArgumentError(f"the file cannot be read as ONNX ({error}): export it again.") from error
    if not model.graph.node:
        raise InvalidArgumentError("the file is no ONNX model: it has no operators.")
    return model
