from pathlib import Path

import pytest

from fleetnas_controller.run_folder import NameTakenError, RunFolder, free_name


def test_free_name_is_the_first_that_no_folder_has(tmp_path: Path) -> None:
    (tmp_path / "a-1").mkdir()
    assert free_name(tmp_path, "a") == "a-2"


@pytest.mark.parametrize("stem", ["x" * 300, "../my space/é", "nas-bench-macro-acme/best", "b_"])
def test_free_name_can_name_a_search(tmp_path: Path, stem: str) -> None:
    name = free_name(tmp_path, stem)
    assert RunFolder.of(tmp_path, name).path == tmp_path / name


def test_a_name_that_another_process_has_just_taken_is_told_apart_from_other_trouble(tmp_path: Path) -> None:
    folder = RunFolder.of(tmp_path, free_name(tmp_path, "a"))
    with folder.held(resume=False):
        with pytest.raises(NameTakenError, match="another process"), folder.held(resume=False):
            pass
        assert free_name(tmp_path, "a") == "a-2"
