import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).resolve().parents[2] / "agents" / "page" / "notices.py"


@pytest.fixture
def npm(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with one installed package."""

    def make(*, licence_file: str = "", dev: bool = False, **facts: object) -> Path:
        folder = tmp_path / "node_modules" / "left"
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"name": "left", "version": "1.2.3", **facts}))
        if licence_file:
            (folder / "LICENSE").write_text(licence_file)
        packages = {"": {}, "node_modules/left": {"dev": True} if dev else {}}
        (tmp_path / "package-lock.json").write_text(json.dumps({"packages": packages}))
        return tmp_path

    return make


@pytest.fixture
def notices() -> Callable[[Path], str]:
    found: Callable[[Path], str] = runpy.run_path(str(_SCRIPT))["notices"]
    return found


def test_own_licence_file_of_a_package_is_handed_on(
    npm: Callable[..., Path], notices: Callable[[Path], str]
) -> None:
    text = notices(npm(license="BSD-3-Clause", licence_file="as its author wrote it"))
    assert "left 1.2.3, BSD-3-Clause" in text
    assert "as its author wrote it" in text


@pytest.mark.parametrize("author", ["Jo Doe", {"name": "Jo Doe"}], ids=["text", "object"])
def test_package_without_a_licence_file_gets_the_text_of_the_one_it_names(
    author: object, npm: Callable[..., Path], notices: Callable[[Path], str]
) -> None:
    text = notices(npm(license="ISC", author=author))
    assert "Copyright (c) Jo Doe" in text
    assert "Permission to use, copy, modify, and/or distribute" in text


@pytest.mark.parametrize(
    "facts", [{"license": "ISC"}, {"license": "Odd", "author": "Jo"}], ids=["holder", "text"]
)
def test_package_whose_licence_is_not_known_is_refused_by_name(
    facts: dict[str, str], npm: Callable[..., Path], notices: Callable[[Path], str]
) -> None:
    with pytest.raises(ValueError, match=r"left 1\.2\.3 comes without the text of its licence"):
        notices(npm(**facts))


def test_package_that_only_builds_the_page_is_not_handed_on(
    npm: Callable[..., Path], notices: Callable[[Path], str]
) -> None:
    assert "left" not in notices(npm(license="ISC", dev=True))
