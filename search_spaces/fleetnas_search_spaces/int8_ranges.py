"""How large the inputs of a network's layers become: what int8 needs to know before it can scale them."""

__all__ = ["input_ranges"]

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.emit_onnx import INPUT_NAME, OUTPUT_NAME, emit_onnx
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import OperatorKind
from fleetnas_search_spaces.weights import Weights

_LAYERS = (OperatorKind.CONV, OperatorKind.LINEAR)


def input_ranges(
    graph: Graph, weights: Weights, images: Iterable[NDArray[np.float32]]
) -> Mapping[str, float]:
    """Runs the network in floats and looks on.

    Args:
        images: Each of ``graph.input_shape``, prepared as the network is used to.

    Returns:
        By the name of each convolution and linear layer the largest magnitude of its input over all images.

    Raises:
        InvalidArgumentError: There is no image.
        FailedPreconditionError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise FailedPreconditionError(
            "calibration runs networks in ONNX Runtime: pip install 'fleetnas[host]'."
        ) from error
    from onnx import ValueInfoProto, load_model_from_string

    model = load_model_from_string(emit_onnx(graph, weights, key="calibration").model_bytes)
    layers = {node.name for node in graph.nodes if node.operator.kind in _LAYERS}
    inputs = {one.name: one.input[0] for one in model.graph.node if one.name in layers}
    inner = sorted(set(inputs.values()) - {INPUT_NAME})
    model.graph.output.extend(ValueInfoProto(name=one) for one in inner)
    watched = [*inner, OUTPUT_NAME]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    largest: dict[str, float] = {}
    for image in images:
        outputs = dict(zip(watched, session.run(watched, {INPUT_NAME: image[np.newaxis]}), strict=True))
        for name, values in {INPUT_NAME: image, **outputs}.items():
            largest[name] = max(largest.get(name, 0.0), float(np.abs(values).max()))
    if not largest:
        raise InvalidArgumentError("no image was given to calibrate with: give at least one.")
    return {layer: largest[name] for layer, name in inputs.items()}
