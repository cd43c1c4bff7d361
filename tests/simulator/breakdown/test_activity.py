"""What is busy: device rows, collectives from arrival, operators of a CPU-only rank."""

import re

from etsim.models.graph import Category, Collective
from etsim.models.merge import merge_ranks
from etsim.models.timeline import measured
from etsim.simulator.breakdown.activity import Part, activity_of, ranks_of
from etsim.tests.timelines import Drawing


def test_device_rows_are_sorted_into_parts_and_know_their_launch() -> None:
    """launch --launch--> kernel; collective, copy and memset without launches."""
    drawing = Drawing()
    call = drawing.launch(0, 1)
    drawing.device(2, 4, launch=call)
    drawing.device(4, 5, category=Category.COLLECTIVE)
    drawing.device(5, 6, category=Category.MEMCPY)
    drawing.device(6, 7, category=Category.MEMSET)
    found = activity_of(drawing.done(), 0)
    assert not found.cpu_only
    assert found.part.tolist() == [Part.COMPUTING, Part.COMMUNICATION, Part.MEMCPY, Part.MEMCPY]
    assert found.launch.tolist() == [call, -1, -1, -1]
    assert found.unlinked.tolist() == [False, True, True, True]


def test_a_pattern_turns_kernels_into_communication() -> None:
    drawing = Drawing()
    drawing.device(0, 1, name="my_Ring_step")
    drawing.device(1, 2, name="gemm")
    found = activity_of(drawing.done(), 0, re.compile("ring", re.IGNORECASE))
    assert found.part.tolist() == [Part.COMMUNICATION, Part.COMPUTING]


def test_a_merged_collective_counts_from_its_arrival() -> None:
    """
    rank 0   |-- 2 ..... 9 --|      recorded 7 long; merged: transfer 3, waiting 4
    rank 1          |6 . 9|
    """
    graphs = []
    for rank, start in ((0, 2), (1, 6)):
        drawing = Drawing(rank)
        row = drawing.device(0, start, name="before")
        assert row == 0
        drawing.device(start, 9, category=Category.COLLECTIVE, collective=Collective("all_reduce"))
        graphs.append(drawing.done().graph)
    merged = measured(merge_ranks(graphs))
    assert ranks_of(merged.graph) == [0, 1]
    spans = []
    for rank in (0, 1):
        found = activity_of(merged, rank)
        collective = found.where(found.part == Part.COMMUNICATION)
        spans.append((collective.start_ns.tolist(), collective.end_ns.tolist()))
    assert spans == [([2], [9]), ([6], [9])]


def test_a_cpu_rank_computes_inside_its_operators() -> None:
    """
    aten::linear  |0 ............ 9|   largest piece 5-9; child aten::t 1-3
    python                          |9-12|
    autograd::... |12-20|                with aten::mm 14-18 inside
    """
    drawing = Drawing()
    linear = 1  # its row stands behind its child's
    drawing.host("aten::t", 1, 3, parent=linear)
    drawing.host("aten::linear", 5, 9)
    node = drawing.host("autograd::engine::evaluate_function: MmBackward0", 12, 13)
    drawing.host("aten::mm", 14, 18, parent=node)
    drawing.host(
        "gloo:all_reduce", 10, 30, thread=2, category=Category.COLLECTIVE,
        collective=Collective("all_reduce"),
    )  # fmt: skip
    found = activity_of(drawing.done(), 0)
    assert found.cpu_only
    busy = found.busy()
    assert busy.computing.merged().start_ns.tolist() == [1, 14]
    assert busy.computing.merged().end_ns.tolist() == [9, 18]
    assert busy.communication.length_ns() == 20
    assert not found.unlinked.any()


def test_parents_in_a_circle_end() -> None:
    drawing = Drawing()
    drawing.host("aten::a", 0, 1, parent=1)
    drawing.host("aten::b", 1, 2, parent=0)
    assert activity_of(drawing.done(), 0).busy().computing.length_ns() == 2
