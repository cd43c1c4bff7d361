"""A file is written whole or not at all."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from etsim.converters.atomic import atomic_path, write_atomically, write_together
from etsim.models.errors import AnalysisError, UsageError


def test_text_and_bytes_arrive_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "µs")
    write_atomically(tmp_path / "b", b"\x00\x01")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "µs"
    assert (tmp_path / "b").read_bytes() == b"\x00\x01"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    goal = tmp_path / "run.et"
    goal.write_text("old")

    def fail() -> None:
        with atomic_path(goal) as part:
            part.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert goal.read_text() == "old"
    assert list(tmp_path.iterdir()) == [goal]


def test_files_written_together_appear_together(tmp_path: Path) -> None:
    def two() -> Iterator[tuple[Path, list[bytes]]]:
        yield tmp_path / "a", [b"1", b"2"]
        assert not (tmp_path / "a").exists(), "the first waits for the others"
        yield tmp_path / "b", [b"3"]

    write_together(two())
    assert (tmp_path / "a").read_bytes() == b"12"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_of_files_written_together_one_that_fails_undoes_the_others(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    files = [(tmp_path / "a", [b"new"]), (tmp_path / "nowhere" / "b", [b"new"])]
    with pytest.raises(UsageError, match="nowhere is not there"):
        write_together(files)
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_mode_of_a_replaced_file_stays(tmp_path: Path) -> None:
    goal = tmp_path / "run.et"
    goal.write_text("old")
    goal.chmod(0o640)
    write_atomically(goal, "new")
    assert goal.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere is not there"):
        write_atomically(tmp_path / "nowhere" / "run.et", "x")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write_atomically(tmp_path, "x")


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_atomically(os.devnull, "x")
    assert not Path(os.devnull).is_file()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)


def test_a_name_too_long_is_a_fault_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        write_atomically(tmp_path / ("x" * 300), "x")


def test_a_full_disk_fails_and_says_so(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "run.et"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(AnalysisError, match="No space left"):
        fill()


def test_an_unreadable_input_is_not_taken_for_the_output(tmp_path: Path) -> None:
    def read() -> None:
        with atomic_path(tmp_path / "run.et"):
            raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "input"))

    with pytest.raises(PermissionError):
        read()
