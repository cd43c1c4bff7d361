"""The bytes that shapes tell are the bytes that the profiler recorded, where it records any."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from etsim.converters.convert import convert_kineto
from etsim.models.costs.work import work_of
from etsim.models.graph import NONE, Category, ExecutionGraph


def copies_with_shapes(graph: ExecutionGraph) -> list[tuple[int, int]]:
    """Give (bytes by shapes, bytes recorded) of every copy whose operator has shapes."""
    nodes = graph.nodes
    rows = np.flatnonzero((nodes.category == Category.MEMCPY) & (nodes.operator != NONE))
    found = [(graph.operators[int(nodes.operator[row])], int(nodes.bytes[row])) for row in rows]
    return [(work_of(op).bytes_written, moved) for op, moved in found if op.input_shapes]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("trace", "copies"),
    [
        ("vllm_mi/vllm_prefilldecode_piecewise.json.gz", 10),
        ("vllm_mi/vllm_decode_full.json.gz", 9),
        ("pair_h100_mi300/h100_qwen0.5b.json.gz", 1),
        ("pair_h100_mi300/mi300_bert_small.json.gz", 1),
    ],
)
def test_a_copy_moves_what_was_recorded(shared_data: Path, trace: str, copies: int) -> None:
    found = copies_with_shapes(convert_kineto(shared_data / "traces" / trace).graph)
    assert len(found) == copies
    assert all(by_shapes == recorded for by_shapes, recorded in found)


@pytest.mark.shared
def test_the_copies_of_a_dlrm_rank_move_what_was_recorded(
    shared_data: Path, tmp_path: Path
) -> None:
    archive = shared_data / "traces" / "dlrm_8rank_v100" / "dlrm_kineto.tar.gz"
    with tarfile.open(archive) as packed:
        member = next(m for m in packed.getmembers() if "worker0_" in m.name)
        packed.extract(member, tmp_path, filter="data")
    found = copies_with_shapes(convert_kineto(tmp_path / member.name).graph)
    assert len(found) == 16
    assert all(by_shapes == recorded for by_shapes, recorded in found)
