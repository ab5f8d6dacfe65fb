import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.disks import fill

from fleetnas_controller.cli import main
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

ARCH = "22212220"
# As pixels are after the usual scaling: calibrated integers do not reach beyond the images they were calibrated on.
IMAGE = np.random.default_rng(1).uniform(-1.0, 1.0, (3, 32, 32)).astype(np.float32)


def run_onnx(path: Path) -> NDArray[np.float32]:
    runtime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.array(session.run(None, {"input": IMAGE[None]})[0]).ravel()


def run_ncnn(param: Path) -> NDArray[np.float32]:
    ncnn = pytest.importorskip("ncnn", reason="the package ncnn is not installed")
    network = ncnn.Net()
    network.opt.num_threads = 1
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(network.opt, name, False)
    assert network.load_param(str(param)) == 0
    assert network.load_model(str(param.with_suffix(".bin"))) == 0
    extractor = network.create_extractor()
    extractor.input("input", ncnn.Mat(IMAGE).clone())
    return np.array(extractor.extract("logits")[1]).ravel()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def test_both_formats_hold_the_same_network(tmp_path: Path) -> None:
    assert main(["export", ARCH, "--out", str(tmp_path / "net.onnx")]) == 0
    assert main(["export", ARCH, "--out", str(tmp_path / "net.param")]) == 0
    logits = run_onnx(tmp_path / "net.onnx")
    assert np.allclose(run_ncnn(tmp_path / "net.param"), logits, rtol=0, atol=1e-4 * np.abs(logits).max())


@pytest.mark.parametrize("name", ["fbnet", "mobilenet-v2", "nas-bench-201"])
def test_architecture_of_another_space_is_written_and_described(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = space(name).format(space(name).reference)
    out = tmp_path / "net"
    assert main(["export", text, "--space", name, "--format", "ncnn", "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["space"], document["architecture"], document["precision"]) == (name, text, "fp32")
    assert document["weights"] == "untrained, seeded noise"
    assert [one["path"] for one in document["files"]] == [f"{out}.param", f"{out}.bin"]
    assert all(Path(one["path"]).stat().st_size == one["size_bytes"] for one in document["files"])


def test_integers_are_calibrated_on_the_folders_images(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    floats, integers = tmp_path / "fp32.param", tmp_path / "int8.param"
    assert main(["export", ARCH, "--out", str(floats)]) == 0
    assert main(["export", ARCH, "--out", str(integers), "--int8", "--images", str(images)]) == 0
    assert "calibrated on 8 of 8 images" in capsys.readouterr().out
    wanted = run_ncnn(floats)
    assert float(np.abs(run_ncnn(integers) - wanted).max() / np.abs(wanted).max()) < 0.15
    size_bytes = integers.with_suffix(".bin").stat().st_size
    assert size_bytes < 0.3 * floats.with_suffix(".bin").stat().st_size


def test_pixels_are_prepared_as_told(tmp_path: Path, images: Path) -> None:
    for name, mean in (("a", "128"), ("b", "0,0,0")):
        words = ["--int8", "--images", str(images), "--pixel-mean", mean, "--pixel-std", "58.4,57.1,57.4"]
        assert main(["export", ARCH, "--out", str(tmp_path / f"{name}.param"), *words]) == 0
    assert (tmp_path / "a.bin").read_bytes() != (tmp_path / "b.bin").read_bytes()


def test_trained_tensors_are_taken_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool, arrays = WeightPool(None, seed=5), {}

    class Watched:
        def array(self, name: str, shape: Any, fan_in: int) -> NDArray[np.float32]:
            arrays[name] = pool.array(name, shape, fan_in)
            return arrays[name]

        def file(self, shape: Any, fan_in: int) -> None:
            return None

    from fleetnas_search_spaces.emit_onnx import emit_onnx

    found = space("nas-bench-macro")
    emit_onnx(found.graph(found.parse(ARCH)), Watched(), key="k")
    np.savez(tmp_path / "weights.npz", **arrays)
    for name, more in (("a", []), ("b", ["--weights", str(tmp_path / "weights.npz")])):
        assert main(["export", ARCH, "--out", str(tmp_path / f"{name}.onnx"), *more]) == 0
    assert f"weights: from {tmp_path / 'weights.npz'}" in capsys.readouterr().out
    assert b"untrained" in (tmp_path / "a.onnx").read_bytes()
    assert b"untrained" not in (tmp_path / "b.onnx").read_bytes()
    assert not np.allclose(run_onnx(tmp_path / "a.onnx"), run_onnx(tmp_path / "b.onnx"))


def test_file_that_is_there_stays_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.bin").write_bytes(b"mine")
    assert main(["export", ARCH, "--out", str(tmp_path / "net.param")]) == 1
    assert "net.bin' exists already: name another file with --out, or replace it with --force." in (
        capsys.readouterr().err
    )
    assert (tmp_path / "net.bin").read_bytes() == b"mine"
    assert not (tmp_path / "net.param").exists()
    assert main(["export", ARCH, "--out", str(tmp_path / "net.param"), "--force"]) == 0
    assert len(run_ncnn(tmp_path / "net.param")) == 10


def test_full_disk_leaves_what_was_there(
    tmp_path: Path, small_disk: Callable[[Path, int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    disk = small_disk(tmp_path / "disk", 256)
    (disk / "net.param").write_text("mine")
    (disk / "net.bin").write_bytes(b"mine too")
    fill(disk)
    before = sorted(disk.iterdir())
    assert main(["export", ARCH, "--out", str(disk / "net.param"), "--force"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("fleetnas: no space left")
    assert len(said.splitlines()) == 1
    assert ((disk / "net.param").read_text(), (disk / "net.bin").read_bytes()) == ("mine", b"mine too")
    assert sorted(disk.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["2221222x", "--out", "a.onnx"], "'2221222x' is no architecture of space 'nas-bench-macro'"),
        ([ARCH, "--space", "nope", "--out", "a.onnx"], "no search space 'nope'"),
        ([ARCH, "--out", "a"], "'a' tells no format: end it in .onnx or .param, or give --format."),
        ([ARCH, "--out", "a.bin", "--format", "onnx"], "'a.bin' is a name for ncnn and --format is onnx"),
        ([ARCH, "--out", "."], "'.' is a folder: name a file in it with --out."),
        ([ARCH, "--out", "taken.param", "--force"], "'taken.bin' is a folder: name another file"),
        ([ARCH, "--out", "no/a.onnx"], "no folder 'no' for 'a.onnx': make it first."),
        ([ARCH, "--out", "a.onnx", "--int8", "--images", "."], "int8 is written for ncnn only, not for onnx"),
        ([ARCH, "--out", "a.param", "--int8"], "int8 needs images to calibrate on"),
        ([ARCH, "--out", "a.param", "--images", "."], "images only calibrate integers: give --int8"),
        ([ARCH, "--out", "a.param", "--int8", "--images", "no"], "no folder 'no'"),
        ([ARCH, "--out", "a.param", "--int8", "--images", "."], "no image in '.'"),
        ([ARCH, "--out", "a.onnx", "--weights", "no.npz"], "'no.npz' cannot be opened"),
        ([ARCH, "--out", "a.onnx", "--weights", "text.npz"], "'text.npz' is no .npz of arrays"),
        ([ARCH, "--out", "a.onnx", "--weights", "other.npz"], "among the 1 given: train the whole network."),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_writes_nothing(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", left=np.zeros(3, np.float32))
    (tmp_path / "taken.bin").mkdir()
    before = sorted(tmp_path.iterdir())
    assert main(["export", *words]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("text", ["1,2", "x", "nan", "0"])
def test_deviation_that_cannot_be_divided_by_is_wrong_usage(text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", ARCH, "--out", "a.param", "--pixel-std", text])
    assert ended.value.code == 2
