"""Model files that name an architecture: reading the name out of one, and making one that holds nothing else."""

__all__ = ["architecture_of", "stand_in_network"]

from fleetnas_agents.jobs import FaultKind, MeasureError

_ARCHITECTURE = b"architecture"
_VALUE_TAG = 0x12
_LONGEST_BYTES = 1 << 14


def architecture_of(model: bytes) -> str:
    """The choices in an ONNX file's ``architecture`` metadata, as digits with commas between.

    Read without the onnx package, which an agent does not need: the entry is a protobuf message of two strings,
    key then value, each a tag, a length of one byte (or two) and the text.

    Raises:
        MeasureError: It names none.
    """
    start = model.rfind(_ARCHITECTURE)
    at = start + len(_ARCHITECTURE)
    if start < 0 or at + 2 > len(model) or model[at] != _VALUE_TAG:
        raise MeasureError(
            FaultKind.MODEL, "the model file names no architecture; FleetNAS's own exporter does."
        )
    length, at = model[at + 1], at + 2
    if length >= 0x80 and at < len(model):
        length, at = (length & 0x7F) | (model[at] << 7), at + 1
    return model[at : at + length].decode("utf-8", errors="replace").rpartition("/")[2]


def stand_in_network(architecture: str) -> bytes:
    """A file that names an architecture (``"fbnet/32/7,8,1,.."``) and that only a played device can measure.

    Raises:
        ValueError: The name is longer than 16 KiB.
    """
    text = architecture.encode()
    if len(text) >= _LONGEST_BYTES:
        raise ValueError(f"`architecture` has {len(text)} bytes, at most {_LONGEST_BYTES - 1} fit.")
    length = bytes([len(text)]) if len(text) < 0x80 else bytes([len(text) & 0x7F | 0x80, len(text) >> 7])
    return b"FleetNAS stand-in " + _ARCHITECTURE + bytes([_VALUE_TAG]) + length + text
