"""What the commands about latency say where the table does not know: strange keys, devices without operators."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fleetnas_controller.cli import main
from fleetnas_latency.exchange.shipped import shipped_pack
from fleetnas_latency.table import open_table
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

PACK = shipped_pack("fbnet-pixel3")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    macro = space("nas-bench-macro")
    model = emit_onnx(
        macro.graph(macro.reference), WeightPool(folder), key=macro.reference.key, external=True
    )
    file = folder / "network.onnx"
    file.write_bytes(model.model_bytes)
    return file


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A table with forty networks of fbnet on one device."""
    table = open_table(tmp_path / "latency.db")
    table.put_observations(PACK.observations[:40])
    table.close()
    return tmp_path / "latency.db"


def test_coverage_counts_and_names_keys_that_are_no_network(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = open_table(measured)
    strange = [replace(PACK.observations[0], measurement_id=f"m{i}", key=f"fbnet/224/{i}") for i in range(5)]
    table.put_observations(strange)
    table.close()
    asked = ["latency", "coverage", "--space", "fbnet", "--table", str(measured)]
    assert main(asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "5 keys are of no network of 'fbnet'" in said
    assert "fbnet/224/2 and 2 more" in said
    assert "latency profile --space fbnet --device pixel3" in said
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["keys_of_no_network"] == [f"fbnet/224/{i}" for i in range(5)]


def test_file_that_fleetnas_wrote_is_predicted_by_its_blocks(
    tmp_path: Path, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fbnet = space("fbnet")
    one = fbnet.parse("7814887884147327324245")
    model = emit_onnx(fbnet.graph(one), WeightPool(tmp_path), key=one.key, external=True)
    file = tmp_path / "network.onnx"
    file.write_bytes(model.model_bytes)
    asked = ["latency", "predict", "--device", "pixel3", "--explain", "--table", str(measured)]
    assert main([*asked, str(file)]) == 0
    of_file = capsys.readouterr()
    assert main([*asked, "--space", "fbnet", "7814887884147327324245"]) == 0
    assert of_file.out == capsys.readouterr().out
    assert f"'{file}' says that it is 7814887884147327324245 of fbnet" in of_file.err


def test_prediction_names_the_network_as_it_was_asked_for(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fbnet = space("fbnet")
    asked = "7818488874147327324245"
    canonical = fbnet.format(fbnet.canonical(fbnet.parse(asked)))
    assert canonical != asked
    command = ["latency", "predict", "--space", "fbnet", "--table", str(measured), asked]
    assert main(command) == 0
    assert f"{asked} (computes what {canonical} does): " in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["predictions"][0]
    assert (row["asked"], row["architecture"]) == (asked, canonical)


@pytest.mark.parametrize("core", ["-2", "9999", "a"])
def test_core_that_is_not_there_is_told_before_anything_starts(
    core: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "--latency-drop", "20%", f"--core={core}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"'{core}' is no core here; give one of {min(os.sched_getaffinity(0))}" in said


def test_file_is_predicted_from_a_pack_of_operators_where_the_table_lacks_the_device(
    tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["latency", "predict", str(network), "--device", "snapdragon855"]) == 0
    said = capsys.readouterr().out
    assert "snapdragon855/paddle-lite" in said
    assert "nothing was measured here" in said


def test_device_without_operators_is_refused_with_those_that_have_some(
    tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["latency", "predict", str(network), "--device", "my-phone"]) == 1
    said = capsys.readouterr().err
    assert "my-phone" in said
    assert "pixel1, snapdragon855" in said
    assert not list(tmp_path.iterdir())
