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


def test_the_folder_that_a_killed_process_left_is_cleared_away(tmp_path):
    dead, alive = tmp_path / ".a[1].4194999.ab_d3f9h.tmp", tmp_path / f".a[1].{os.getppid()}.x.tmp"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "a[1]").write_bytes(b"half")
    with files.replacing(tmp_path / "a[1]") as file:
        file.write(b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([alive, tmp_path / "a[1]"])


@pytest.mark.parametrize("stray", [".a.old.tmp", ".a.tmp", ".a.1.2.tmp", ".a.20261231.tmp"])
def test_a_stray_file_beside_it_does_not_keep_a_file_from_being_written(tmp_path, stray):
    (tmp_path / stray).write_bytes(b"somebody's")
    with files.replacing(tmp_path / "a") as file:
        file.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert (tmp_path / stray).read_bytes() == b"somebody's"


def test_two_writers_of_one_process_do_not_share_a_temporary_file(tmp_path):
    with files.replacing(tmp_path / "a") as first:
        with files.replacing(tmp_path / "a") as second:
            first.write(b"first")
            second.write(b"second")
        assert (tmp_path / "a").read_bytes() == b"second"
    assert (tmp_path / "a").read_bytes() == b"first"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_file_that_is_replaced_has_the_permissions_of_any_new_file(tmp_path):
    with files.replacing(tmp_path / "a"):
        pass
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_an_address_of_the_web_is_no_file_and_keeps_its_slashes():
    with pytest.raises(ValueError, match=r"^https://a\.org/b\.jpg is an address.*download it"):
        files.local("https://a.org/b.jpg")
    assert files.local("a/b.jpg") == files.local(files.local("a/b.jpg"))
