"""What is wrong with a file is told in one line: what, where, how to mend it."""

import gzip
import json
from pathlib import Path

import pytest

from etsim.converters.chakra import is_chakra, read_graph, write_graph
from etsim.converters.chakra.frames import framed
from etsim.models.errors import EtsimError, InputError, TraceFormatError
from etsim.models.graph import EdgeKind, ExecutionGraph, LaneKind, same_graph
from etsim.models.graph_builder import GraphBuilder
from etsim.tests.converters.chakra.build import host, write_file


def chain(rows: int) -> ExecutionGraph:
    """Give op0 --> op1 --> ..."""
    builder = GraphBuilder()
    lane = builder.lane(LaneKind.HOST, group=1, number=1)
    for row in range(rows):
        after = [(row - 1, EdgeKind.HOST_ORDER, 7)] if row else []
        builder.add(f"op{row}", lane, duration_ns=row, after=after)
    return builder.build()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "run.et"
    write_graph(chain(5), path)
    return path


def told(path: Path, kind: type[EtsimError] = TraceFormatError) -> str:
    """Give the one line that reading a bad file brings."""
    with pytest.raises(kind) as caught:
        read_graph(path)
    line = caught.value.line()
    assert "\n" not in line
    assert str(path) in line
    assert caught.value.exit_code == 3
    return line


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "No such file" in told(tmp_path / "none.et", InputError)


def test_a_folder_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in told(tmp_path, InputError)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.et"
    path.write_bytes(b"")
    assert "is empty" in told(path)


def test_json_is_told_from_chakra(tmp_path: Path) -> None:
    path = tmp_path / "et.json"
    path.write_text(json.dumps({"schema": "1.1.1-chakra.0.0.4", "nodes": []}))
    assert "looks like JSON" in told(path)


@pytest.mark.parametrize("garbage", [b"\x00", b"\xff" * 40, b"hello world", b"\x89PNG\r\n", b"\n"])
def test_garbage_is_no_chakra_file(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "run.et"
    path.write_bytes(garbage)
    assert not is_chakra(garbage)
    assert "no Chakra execution trace" in told(path)


def test_a_file_cut_anywhere_is_refused_with_its_place(written: Path) -> None:
    whole = written.read_bytes()
    for size in range(1, len(whole), 7):
        written.write_bytes(whole[:size])
        line = told(written)
        assert "cut" in line or "no Chakra" in line, size


def test_a_cut_in_a_node_names_node_and_byte(written: Path) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[:-3])
    assert "cut in the middle of node 5: from byte " in told(written)


def test_a_cut_between_nodes_is_told_by_their_count(written: Path) -> None:
    frames = framed(written.read_bytes(), written)
    length_bytes = 2
    written.write_bytes(frames.data[: frames.begins[4] - length_bytes])
    assert "cut after node 4 of 5" in told(written)


def test_gzip_is_read_by_content_and_its_cut_is_told(written: Path) -> None:
    packed = gzip.compress(written.read_bytes())
    written.write_bytes(packed)
    assert is_chakra(packed[:300])
    assert same_graph(read_graph(written), chain(5))
    written.write_bytes(packed[: len(packed) // 2])
    assert "gzip stream is cut" in told(written)


def test_bytes_that_are_no_node_are_told_by_number(tmp_path: Path) -> None:
    path = write_file(tmp_path / "run.et", host(1), b"\x05\x0a\xff\xff\xff\xff")
    assert "node 2 cannot be decoded" in told(path)


def test_zeros_after_the_nodes_are_told(tmp_path: Path) -> None:
    path = write_file(tmp_path / "run.et", host(1), bytes(100))
    assert "an empty message stands where node 2 should be" in told(path)


def test_a_newer_format_is_refused(written: Path) -> None:
    old, new = b"etsim_format\x68\x01", b"etsim_format\x68\x63"
    written.write_bytes(written.read_bytes().replace(old, new))
    assert "format 99, known is 1" in told(written, InputError)
