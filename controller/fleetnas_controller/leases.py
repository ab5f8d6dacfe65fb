"""Leases as agents name them, and what they hear of their reports."""

__all__ = ["Acknowledgement", "LeaseKey"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """A lease as agents name it."""

    measurement: str
    fencing_token: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Whether a report counted; ``reason`` says why not."""

    accepted: bool
    reason: str = ""
