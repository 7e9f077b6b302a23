import hashlib
import os

import pytest
from neural_style_keras import files


def test_a_whole_file_takes_the_name(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with files.replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), files.replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_what_a_killed_process_left_is_cleared_away_and_a_live_ones_is_not(tmp_path):
    dead, alive = tmp_path / ".a.4194999.tmp", tmp_path / f".a.{os.getppid()}.tmp"
    dead.write_bytes(b"half")
    alive.write_bytes(b"half")
    with files.replacing(tmp_path / "a") as file:
        file.write(b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([alive, tmp_path / "a"])
