"""Latency files through the command line."""

import json
from pathlib import Path

import pytest

from fleetnas_controller.cli import main

LINES = ["conv,0,0,1,3,640,640,8,1,3,1,2,1\t2433", "conv,0,0,1,8,320,320,8,8,3,1,1,1\t1053"]


@pytest.fixture
def text_table(tmp_path: Path) -> Path:
    path = tmp_path / "latency_855.txt"
    path.write_text("\n".join(["op_type\t855\tus", *LINES, ""]))
    return path


def _latency(tmp_path: Path, *words: str) -> int:
    return main(["latency", words[0], *words[1:], "--table", str(tmp_path / "t" / "latency.db")])


def test_text_table_goes_in_and_comes_out_again(
    tmp_path: Path, text_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _latency(tmp_path, "import", str(text_table), "--device-model", "855") == 0
    assert "2 of 2 latencies are new" in capsys.readouterr().out
    assert _latency(tmp_path, "import", str(text_table), "--device-model", "855") == 0
    assert "0 of 2 latencies are new" in capsys.readouterr().out
    out = tmp_path / "out.txt"
    assert _latency(tmp_path, "export", str(out), "--format", "paddleslim-2020") == 0
    assert sorted(out.read_text().splitlines()) == sorted(text_table.read_text().splitlines())


def test_imported_operator_answers_a_query(
    tmp_path: Path, text_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _latency(tmp_path, "import", str(text_table), "--device-model", "855")
    capsys.readouterr()
    key = "conv/in_channels=3,out_channels=8,in_px=640,kernel_px=3,stride=2,padding_px=1"
    assert _latency(tmp_path, "query", key, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mean_ms"] == pytest.approx(2.433)
    assert found["source"] == "imported"


def test_pack_carries_a_target_to_another_table(
    tmp_path: Path, text_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack, other = tmp_path / "pack.json", tmp_path / "other.db"
    _latency(tmp_path, "import", str(text_table), "--device-model", "855")
    assert _latency(tmp_path, "export", str(pack), "--licence", "Apache-2.0") == 0
    assert main(["latency", "import", str(pack), "--table", str(other)]) == 0
    assert "2 of 2 latencies are new on 855" in capsys.readouterr().out
    damaged = pack.read_text().replace("2.433", "2.434")
    pack.write_text(damaged)
    assert main(["latency", "import", str(pack), "--table", str(other)]) == 1
    assert "changed or cut" in capsys.readouterr().err


def test_networks_of_a_csv_are_learned_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "networks.csv"
    rows = [f"{a}{b}000000,{2 + a + 3 * b}" for a in range(3) for b in range(3)]
    table.write_text("\n".join(["arch,latency_ms", *rows, ""]))
    assert _latency(tmp_path, "import", str(table), "--device-model", "phone") == 0
    capsys.readouterr()
    assert _latency(tmp_path, "predict", "22000000", "--json") == 0
    predicted = json.loads(capsys.readouterr().out)["predictions"][0]
    assert predicted["mean_ms"] == pytest.approx(10.0, rel=0.1)


def test_file_without_a_device_is_refused(
    tmp_path: Path, text_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _latency(tmp_path, "import", str(text_table)) == 1
    assert "--device-model" in capsys.readouterr().err


def test_network_of_another_origin_is_predicted_from_imported_operators(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fleetnas_search_spaces.emit_onnx import emit_onnx
    from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
    from fleetnas_search_spaces.weights import WeightPool

    lines = [f"conv,1,1,1,{size},16,16,{size},1,3,1,1,1\t{50 + size * size}" for size in range(8, 80, 8)]
    table = tmp_path / "table.txt"
    table.write_text("\n".join(["op_type\tphone\tus", *lines, ""]))
    _latency(tmp_path, "import", str(table), "--device-model", "phone")
    space = NASBenchMacro()
    model = emit_onnx(space.graph(space.reference), WeightPool(None), key=space.reference.key)
    file = tmp_path / "net.onnx"
    file.write_bytes(model.model_bytes)
    capsys.readouterr()
    assert _latency(tmp_path, "predict", str(file), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["low_ms"] < found["mean_ms"] < found["high_ms"]
    assert found["shares"]["guessed"] > 0.9
    assert found["architecture"] == space.reference.key


def test_types_of_one_device_are_imported_apart(
    tmp_path: Path, text_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _latency(tmp_path, "import", str(text_table), "--device-model", "855")
    assert _latency(tmp_path, "import", str(text_table), "--device-model", "855", "--precision", "int8") == 0
    assert "2 of 2 latencies are new" in capsys.readouterr().out.splitlines()[-1]
    assert _latency(tmp_path, "targets", "--json") == 0
    assert [key.split("/")[5] for key in json.loads(capsys.readouterr().out)] == ["fp32", "int8"]


def test_pack_of_the_package_is_listed_and_goes_into_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["latency", "packs", "--json"]) == 0
    listed = {one["pack"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["pixel1-blocks"]["licence"] == "MIT"
    assert _latency(tmp_path, "import", "--pack", "fbnet-pixel3") == 0
    assert "300 of 300 latencies are new on pixel3" in capsys.readouterr().out
    assert _latency(tmp_path, "predict", "7818488874147327324245", "--space", "fbnet", "--json") == 0
    predicted = json.loads(capsys.readouterr().out)["predictions"][0]
    assert predicted["mean_ms"] == pytest.approx(17.5577, rel=0.02)
    assert _latency(tmp_path, "import", "--pack", "fbnet-pixel4") == 1
    assert "fbnet-pixel3" in capsys.readouterr().err
    assert _latency(tmp_path, "import") == 1
    assert "--pack NAME" in capsys.readouterr().err


def test_latency_travels_in_parquet_and_in_the_network_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fleetnas_search_spaces.emit_onnx import emit_onnx
    from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
    from fleetnas_search_spaces.weights import WeightPool

    networks = tmp_path / "networks.csv"
    networks.write_text("arch,latency_ms\n22222222,7.5\n")
    _latency(tmp_path, "import", str(networks), "--device-model", "phone")
    space, network = NASBenchMacro(), tmp_path / "net.onnx"
    model = emit_onnx(space.graph(space.reference), WeightPool(None), key=space.reference.key)
    network.write_bytes(model.model_bytes)
    for file, more in ((network, ()), (tmp_path / "table.parquet", ("--device-model", "phone"))):
        assert _latency(tmp_path, "export", str(file)) == 0
        other = tmp_path / f"{file.stem}.db"
        assert main(["latency", "import", str(file), *more, "--table", str(other)]) == 0
        capsys.readouterr()
        assert main(["latency", "query", "22222222", "--table", str(other), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["mean_ms"] == pytest.approx(7.5)


def test_failed_export_leaves_the_old_file(
    tmp_path: Path, text_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _latency(tmp_path, "import", str(text_table), "--device-model", "855")
    network = tmp_path / "net.onnx"
    network.write_bytes(b"no model")
    assert _latency(tmp_path, "export", str(network)) == 1
    assert network.read_bytes() == b"no model"
    assert "ONNX" in capsys.readouterr().err
