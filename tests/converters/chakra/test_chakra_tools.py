"""Chakra's own tools read our files; there is no package of them on PyPI, so often none is here."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from etsim.converters.chakra import write_graph
from etsim.converters.chakra.astra import write_astra
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind, Operator
from etsim.models.graph_builder import GraphBuilder

pytestmark = pytest.mark.chakra


def tool(name: str, source: Path, target: Path) -> None:
    """Run one of Chakra's commands, or skip."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed (github.com/mlcommons/chakra)")
    command = [program, "--input_filename", str(source), "--output_filename", str(target)]
    subprocess.run(command, check=True, capture_output=True, cwd=target.parent)


def a_run() -> ExecutionGraph:
    """Give aten::mm --launch--> gemm<float>"""
    builder = GraphBuilder()
    main = builder.lane(LaneKind.HOST, group=1, number=1)
    stream = builder.lane(LaneKind.DEVICE, group=0, number=7)
    mm = builder.add(
        "aten::mm", main, duration_ns=1500, operator=Operator("aten::mm", "mm(Tensor)")
    )
    builder.add(
        "gemm<float>", stream, duration_ns=2500, start_ns=1500, category=Category.KERNEL,
        flops=8, bytes=4, after=[(mm, EdgeKind.LAUNCH, 0)],
    )  # fmt: skip
    return builder.build()


def objects(text: str) -> list[dict[str, Any]]:
    """Read JSON objects that stand one after another, as Chakra's jsonizer writes them."""
    decoder, position, found = json.JSONDecoder(), 0, []
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        found.append(value)
    return found


def test_the_jsonizer_reads_every_node(tmp_path: Path) -> None:
    write_graph(a_run(), tmp_path / "run.et")
    tool("chakra_jsonizer", tmp_path / "run.et", tmp_path / "run.json")
    metadata, *nodes = objects((tmp_path / "run.json").read_text())
    assert metadata["version"]
    assert [(node["id"], node["name"]) for node in nodes] == [
        ("1", "aten::mm"),
        ("2", "gemm<float>"),
    ]
    assert nodes[1]["dataDeps"] == ["1"]


def test_the_jsonizer_reads_the_files_for_astra_sim(tmp_path: Path) -> None:
    report = write_astra([a_run()], tmp_path / "run")
    tool("chakra_jsonizer", report.files[0], tmp_path / "run.json")
    _, *nodes = objects((tmp_path / "run.json").read_text())
    assert [node["type"] for node in nodes] == ["COMP_NODE"] * 2


def test_the_visualizer_draws_every_dependency(tmp_path: Path) -> None:
    write_graph(a_run(), tmp_path / "run.et")
    tool("chakra_visualizer", tmp_path / "run.et", tmp_path / "run.graphml")
    assert (tmp_path / "run.graphml").read_text().count("<edge ") == 1
