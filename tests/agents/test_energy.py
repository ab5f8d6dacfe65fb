"""Joules of one inference from a made-up powercap tree."""

from pathlib import Path

import pytest

from fleetnas_agents.energy import RaplCounter, energy_facts


class Packages:
    """Two packages and a part of one of them, which a machine would show under ``/sys/class/powercap``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_s = 0.0
        self.inference_count = 0
        for name in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
            self.set(name, 1000)

    def set(self, name: str, energy_uj: int, range_uj: int = 10**9) -> None:
        folder = self.root / "sys/class/powercap" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "energy_uj").write_text(f"{energy_uj}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")

    def clock(self) -> float:
        """Each look takes 10 ms, in which the first package takes 500 uJ."""
        self.now_s += 0.01
        self.add("intel-rapl:0", 500)
        return self.now_s

    def add(self, name: str, spent_uj: int) -> None:
        path = self.root / "sys/class/powercap" / name / "energy_uj"
        path.write_text(str(int(path.read_text()) + spent_uj))

    def infer(self) -> None:
        self.inference_count += 1
        self.add("intel-rapl:1", 20_000)


def test_energy_is_that_of_all_packages_over_the_runs(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    facts = energy_facts(packages.infer, lambda: None, RaplCounter(tmp_path), packages.clock)
    assert int(facts["energy_run_count"]) == packages.inference_count > 50
    # 20 mJ in the one package; half a millijoule beside it, at each look at the clock, in the other.
    assert float(facts["energy_j_per_run"]) == pytest.approx(0.0205, abs=0.0001)
    assert facts["energy_source"] == "intel-rapl:0, intel-rapl:1"


def test_resolution_is_the_counters_step_as_energy_of_one_run(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    facts = energy_facts(packages.infer, lambda: None, RaplCounter(tmp_path), packages.clock)
    assert float(facts["energy_resolution_j"]) == pytest.approx(0.0005 / packages.inference_count, rel=1e-3)


def test_counter_that_starts_again_at_zero_is_followed(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    packages.set("intel-rapl:0", 990, range_uj=999)
    counter = RaplCounter(tmp_path)
    before = counter.read_uj()
    packages.set("intel-rapl:0", 10, range_uj=999)
    assert counter.spent_uj(before, counter.read_uj()) == 20


@pytest.mark.parametrize("kept", ["nothing", "zone without a reading", "reading that is none"])
def test_machine_without_a_counter_says_so_and_runs_nothing(tmp_path: Path, kept: str) -> None:
    folder = tmp_path / "sys/class/powercap/intel-rapl:0"
    if kept != "nothing":
        folder.mkdir(parents=True)
    if kept == "reading that is none":
        (folder / "energy_uj").write_text("broken")
    packages = Packages(tmp_path / "other")
    facts = energy_facts(packages.infer, lambda: None, RaplCounter(tmp_path), packages.clock)
    assert facts == {"energy_j_per_run": "not available: no energy counter that can be read"}
    assert packages.inference_count == 0


def test_counter_that_stands_still_gives_no_figure(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    ticks = iter(range(10_000))
    facts = energy_facts(lambda: None, lambda: None, RaplCounter(tmp_path), lambda: next(ticks) / 100)
    assert facts == {"energy_j_per_run": "not available: the energy counter does not move"}
    assert packages.inference_count == 0
