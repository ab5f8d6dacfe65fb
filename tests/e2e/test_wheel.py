"""The wheel, built as pip builds it: what is in it, and that its page is found where it is installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.pieces import need

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "agents" / "page" / "build.py"
_NEEDED = (
    "agents", "controller", "latency", "protos", "search_spaces", "training", "pyproject.toml", "hatch_build.py",
    "README.md", "LICENSE", "NOTICE",
)  # fmt: skip


def pip(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "FLEETNAS_WITHOUT_PAGE"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=170, env=environment)


def pip_wheel(source: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Without isolation, for that would fetch the build backend, which is here already."""
    return pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", folder, source)


def find_page(packages: Path) -> "subprocess.CompletedProcess[str]":
    """Asks the package installed there, and no other, for its page."""
    asked = "from fleetnas_controller.pages.site import find_site; print(find_site().file('page.js').path)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages)}
    return subprocess.run(
        [sys.executable, "-c", asked],
        capture_output=True,
        text=True,
        cwd=packages,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def backend() -> None:
    need(find_spec("hatchling"), "the package hatchling is not installed: pip install 'fleetnas[test]'")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checked = subprocess.run([sys.executable, PAGE, "--check"], capture_output=True, text=True, check=False)
    need(checked.returncode == 0, checked.stderr.strip())
    folder = tmp_path_factory.mktemp("wheel")
    ended = pip_wheel(CHECKOUT, folder)
    assert ended.returncode == 0, ended.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy without a built page."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in _NEEDED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return folder


def test_wheel_holds_the_page_with_both_runtimes_their_licences_and_nothing_it_was_bundled_from(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        licences = file.read("fleetnas_controller/pages/built/site/licences.txt").decode()
    inside = {name.removeprefix("fleetnas_controller/pages/built/") for name in names}
    assert {"files.json", "site/index.html", "site/simd/ort-wasm-simd-threaded.wasm"} <= inside
    assert {"site/nosimd/ort-wasm.wasm", "site/nosimd/ort-wasm.wasm.gz"} <= inside
    assert not [name for name in names if "node_modules" in name]
    for package in (
        "onnxruntime-web 1.30.0, MIT",
        "onnxruntime-web 1.18.0, MIT",
        "protobufjs 8.8.1, BSD-3-Clause",
    ):
        assert package in licences
    assert "Copyright (c) Microsoft Corporation" in licences
    assert "esbuild" not in licences


def test_installed_wheel_finds_its_own_page(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site-packages"
    assert pip("install", "--no-deps", "--no-index", "--target", target, wheel).returncode == 0
    answer = find_page(target)
    inside = target / "fleetnas_controller" / "pages" / "built"
    assert answer.stdout.strip() == str(inside / "site" / "page.js"), answer.stderr
    assert Path(answer.stdout.strip()).stat().st_size > 10_000


def test_same_sources_give_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    assert pip_wheel(CHECKOUT, tmp_path).returncode == 0
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_wheel_is_refused_in_one_line_without_a_page(checkout: Path, tmp_path: Path) -> None:
    ended = pip_wheel(checkout, tmp_path / "wheels")
    assert ended.returncode != 0
    (line,) = [one.strip() for one in ended.stderr.splitlines() if "no page in" in one]
    assert line.startswith(f"no page in '{checkout / 'build' / 'page'}': build it with 'make page'")
    assert line.endswith("For a wheel that serves no pages set FLEETNAS_WITHOUT_PAGE=1.")
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "wheels").glob("*.whl"))


def test_wheel_is_refused_with_a_page_of_other_sources(checkout: Path, tmp_path: Path) -> None:
    built = checkout / "build" / "page"
    built.mkdir(parents=True)
    (built / "files.json").write_text('{"sources": {"agents/page/src/page.js": "0"}}', encoding="utf-8")
    ended = pip_wheel(checkout, tmp_path / "wheels")
    assert ended.returncode != 0
    assert "is of other sources: build it with 'make page'" in ended.stderr


def test_wheel_without_a_page_says_what_to_install_instead(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site-packages"
    environment = {**os.environ, "FLEETNAS_WITHOUT_PAGE": "1"}
    build = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*build, "--target", target, checkout], env=environment, capture_output=True, check=True)
    answer = find_page(target)
    assert "install a wheel that 'make wheel' built" in answer.stderr.splitlines()[-1]


def test_editable_install_needs_no_page(checkout: Path, tmp_path: Path) -> None:
    asked = f"from hatchling.build import build_editable; print(build_editable({str(tmp_path)!r}))"
    answer = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, cwd=checkout, check=False
    )
    with zipfile.ZipFile(tmp_path / answer.stdout.strip().splitlines()[-1]) as file:
        assert not [name for name in file.namelist() if "pages/built" in name]
        assert [name for name in file.namelist() if name.endswith(".pth")]
