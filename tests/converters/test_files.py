"""Files are told by their content: plain or gzip, whole or cut, and what to do about it."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.converters.blocks import nearest_name
from etsim.converters.files import (
    HEAD_BYTES,
    FileKind,
    expect_kind,
    gunzip,
    read_bytes,
    sniff,
)
from etsim.models.errors import InputError, TraceFormatError

HERE = Path("file")
ET = b'{"schema": "1.1.1", "pid": 1, "nodes": []}'
KINETO = b'{"schemaVersion": 1, "traceEvents": []}'


def test_gzip_is_unpacked_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(gzip.compress(KINETO))
    assert read_bytes(path) == KINETO


def test_a_plain_file_called_gz_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(KINETO)
    assert read_bytes(path) == KINETO


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=3), st.integers(0, 5))
def test_all_members_of_a_gzip_stream_count_and_padding_does_not(
    parts: list[bytes], padding: int
) -> None:
    packed = b"".join(gzip.compress(part) for part in parts) + b"\0" * padding
    assert gunzip(packed, HERE) == b"".join(parts)


@given(st.integers(1, len(gzip.compress(KINETO)) - 1))
def test_a_gzip_stream_cut_anywhere_is_told(length: int) -> None:
    with pytest.raises(TraceFormatError, match=r"cut|damaged"):
        gunzip(gzip.compress(KINETO)[:length], HERE)


def test_a_damaged_gzip_stream_is_told() -> None:
    packed = bytearray(gzip.compress(KINETO * 10))
    packed[-6] ^= 0xFF  # the checksum
    with pytest.raises(TraceFormatError, match="damaged"):
        gunzip(bytes(packed), HERE)


def test_an_empty_file_is_told_packed_or_not(tmp_path: Path) -> None:
    for name, data in (("plain", b""), ("packed", gzip.compress(b""))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="is empty"):
            read_bytes(tmp_path / name)


def test_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read_bytes(tmp_path)


def test_a_missing_file_is_told_with_the_nearest_there_is(tmp_path: Path) -> None:
    (tmp_path / "run.trace.json").write_bytes(KINETO)
    with pytest.raises(InputError, match=r"did you mean .*run\.trace\.json\?"):
        read_bytes(tmp_path / "run.trase.json")
    assert nearest_name(tmp_path / "zzz") == "check the path"
    assert nearest_name(tmp_path / "no folder" / "zzz") == "check the path"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (ET, FileKind.EXECUTION_TRACE),
        (KINETO, FileKind.KINETO),
        (b" \n" + KINETO, FileKind.KINETO),
        (b'{"deviceProperties": [' + b" " * HEAD_BYTES + b'], "traceEvents": []}', FileKind.KINETO),
        (b'{"nodes": [' + b" " * 3 * HEAD_BYTES + b'], "schema": "1"}', FileKind.EXECUTION_TRACE),
        (b'[{"ph": "X"}]', FileKind.ASCEND),
        (b"[1, 2]", FileKind.JSON),
        (b"{}", FileKind.JSON),
        (b"\x05\x0a\x03abc\x02\x08\x01", FileKind.CHAKRA),
        (b"SQLite format 3\x00...", FileKind.NSYS),
        (b"hello", FileKind.OTHER),
        (b"", FileKind.OTHER),
    ],
)
def test_what_a_file_is(data: bytes, kind: FileKind) -> None:
    assert sniff(data) is kind


@given(st.binary(max_size=200))
def test_any_bytes_are_something(data: bytes) -> None:
    assert sniff(data) in FileKind


def test_swapped_files_are_recognised() -> None:
    with pytest.raises(TraceFormatError, match="is an execution trace, not a Kineto trace"):
        expect_kind(FileKind.EXECUTION_TRACE, FileKind.KINETO, HERE, "--trace")
    with pytest.raises(TraceFormatError, match="swap --et and --trace"):
        expect_kind(FileKind.KINETO, FileKind.EXECUTION_TRACE, HERE, "--et")


@pytest.mark.parametrize("found", [k for k in FileKind if k is not FileKind.KINETO])
def test_another_kind_is_told_in_a_sentence(found: FileKind) -> None:
    with pytest.raises(TraceFormatError) as caught:
        expect_kind(found, FileKind.KINETO, HERE, "--trace")
    line = caught.value.line()
    assert line.startswith("file: is ")
    assert "not a Kineto trace" in line
    expect_kind(FileKind.KINETO, FileKind.KINETO, HERE, "--trace")
