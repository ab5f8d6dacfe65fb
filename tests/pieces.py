"""Pieces that a test needs beside Python's packages: programs, built runners."""

__all__ = ["need"]

import os

import pytest


def need(found: object, what: str) -> None:
    """Skips without ``found``; under CI=true that is a failure."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; CI installs it")
    pytest.skip(what)
