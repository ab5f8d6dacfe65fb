"""The networks of a job as the native runner wants them."""

__all__ = ["NativeNetworks"]

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetnas_agents.jobs import Job, MeasureError
from fleetnas_agents.ncnn_job import RunnerFiles, network_files, precision_of, sample_input, weight_parts
from fleetnas_search_spaces.operators import Precision


@dataclass(frozen=True, slots=True)
class NativeNetworks:
    """What a job brings, read from the folder where it lies.

    Attributes:
        candidates, anchor: Paths of network and weights among the job's files; no anchor: None.
        input: That every network takes as much of as it needs.
        parts: By the name that a ``.weights`` list uses, the path among the job's files.
        precisions: Of the candidates.
    """

    candidates: tuple[tuple[str, str], ...]
    anchor: tuple[str, str] | None
    input: bytes
    parts: Mapping[str, str]
    precisions: tuple[Precision, ...]

    @classmethod
    def read(cls, job: Job, folder: Path) -> "NativeNetworks":
        """Raises MeasureError where one of them is none that ncnn runs; in a batch it says which."""
        candidates, texts = [], []
        for number, entry in enumerate(job.entry_files, 1):
            try:
                candidates.append(network_files(job, entry))
                texts.append(_text(folder / entry))
                sample_input(texts[-1:])
            except MeasureError as fault:
                raise fault.in_batch(job, number) from fault
        anchor = network_files(job, job.anchor_entry_file) if job.anchor_entry_file else None
        beside = [_text(folder / anchor[0])] if anchor is not None else []
        return cls(
            candidates=tuple(candidates),
            anchor=anchor,
            input=sample_input([*texts, *beside]),
            parts=weight_parts(job),
            precisions=tuple(map(precision_of, texts)),
        )

    def placed(self, places: Mapping[str, str], input_place: str, lock: str) -> RunnerFiles:
        """On the device, where the job's files lie at ``places``."""
        anchor = (places[self.anchor[0]], places[self.anchor[1]]) if self.anchor is not None else None
        return RunnerFiles(
            candidates=tuple((places[network], places[weights]) for network, weights in self.candidates),
            anchor=anchor,
            input=input_place,
            parts={name: places[path] for name, path in self.parts.items()},
            lock=lock,
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
