"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from fleetnas_search_spaces.whole_files import write_whole


def test_file_that_cannot_be_written_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "absent" / "net.onnx"
    with pytest.raises(FileNotFoundError) as refused:
        write_whole(file, b"x")
    assert refused.value.filename == str(file)
