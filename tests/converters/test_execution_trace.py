"""Execution traces of all schemas become the same columns."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from etsim.converters.execution_trace import (
    KNOWN_SCHEMAS,
    ExecutionTrace,
    is_structural,
    read_execution_trace,
)
from etsim.models.errors import TraceFormatError
from etsim.tests.kineto_maker import FLAT_SCHEMA, LATEST_SCHEMA, Recording

HERE = Path("et.json")


def run() -> Recording:
    """Draw two nested operators in a mark, with autograd's numbers."""
    made = Recording()
    made.mark("layer", 0, 100)
    made.op("aten::linear", 10, 90, shapes=[[2, 3], [3]], types=["Tensor(float)"] * 2,
            said={"Sequence number": 5, "fw_parent": 0, "schema": "aten::linear(...)"})  # fmt: skip
    made.op("aten::addmm", 20, 80)
    return made


def read(document: dict[str, Any]) -> ExecutionTrace:
    return read_execution_trace(HERE, json.dumps(document).encode())


@pytest.mark.parametrize("schema", [*KNOWN_SCHEMAS, LATEST_SCHEMA, "1.0.3-chakra.0.0.4"])
def test_every_schema_gives_the_same_columns(schema: str) -> None:
    et = run().et(schema=schema)
    plain = run().et(schema=LATEST_SCHEMA)
    assert et.schema == schema
    ran = [name for name in et.name if not is_structural(name)]
    assert ran == ["layer", "aten::linear", "aten::addmm"]
    for column in ("id", "parent", "rf_id", "seq_id", "scope", "tid", "fw_parent"):
        assert getattr(et, column).tolist() == getattr(plain, column).tolist(), column
    assert et.op_schema == plain.op_schema


def test_the_nested_and_the_flat_layout_give_the_same_shapes() -> None:
    nested, flat = run().et(), run().et(schema=FLAT_SCHEMA)
    place = nested.name.index("aten::linear")
    assert (
        bytes(nested.inputs[place].shapes) == bytes(flat.inputs[place].shapes) == (b"[[2, 3], [3]]")
    )
    assert bytes(flat.outputs[place].types) == b'["Tensor(float)"]'


def test_nodes_come_in_order_of_ids_whatever_the_order_in_the_file() -> None:
    document = run().execution_trace()
    document["nodes"].reverse()
    assert read(document).name == run().et().name
    assert read(document).id.tolist() == sorted(read(document).id.tolist())


def test_parents_are_ids_of_the_enclosing_nodes() -> None:
    et = run().et()
    of = dict(zip(et.name, et.id.tolist(), strict=True))
    parent = dict(zip(et.name, et.parent.tolist(), strict=True))
    assert parent["aten::addmm"] == of["aten::linear"]
    assert parent["aten::linear"] == of["layer"]


def test_an_observer_that_was_never_stopped_is_noticed() -> None:
    document = run().execution_trace()
    assert read(document).complete
    del document["finish_ts"]
    assert not read(document).complete


def test_unsigned_none_is_none() -> None:
    """The sequence number of an operator without one is 2**64 - 1 in some schemas."""
    document = run().execution_trace()
    for attribute in document["nodes"][-1]["attrs"]:
        if attribute["name"] == "seq_id":
            attribute["value"] = 2**64 - 1
    assert read(document).seq_id[-1] == -1


def test_unknown_keys_and_attributes_are_passed_over() -> None:
    document = run().execution_trace()
    document["something"] = 1
    document["nodes"][-1]["attrs"].append({"name": "new", "type": "string", "value": ["x"]})
    document["nodes"][-1]["outer"] = {}
    assert read(document).name == run().et().name


def test_frames_of_the_trace_itself_never_ran() -> None:
    assert is_structural("[pytorch|profiler|execution_trace|process]")
    assert is_structural("[pytorch|profiler|execution_graph|thread]")
    assert is_structural("## process_group:init ##")
    assert not is_structural("aten::mm")


def test_process_groups_are_kept() -> None:
    document = run().execution_trace()
    groups = json.dumps([{"pg_name": "0", "ranks": [0, 1]}])
    node = {**document["nodes"][0], "id": 50, "name": "## process_group:init ##",
            "inputs": {"values": [groups], "shapes": [], "types": [], "strides": []}}  # fmt: skip
    document["nodes"].append(node)
    assert json.loads(read(document).process_groups)[0]["ranks"] == [0, 1]


@pytest.mark.parametrize("schema", ["2.0.0", "", "1.0"])
def test_an_unknown_schema_is_told_with_the_known_ones(schema: str) -> None:
    document = {**run().execution_trace(), "schema": schema}
    with pytest.raises(TraceFormatError, match=r"known are 1\.0\.1"):
        read(document)


def test_gzip_reads_alike(tmp_path: Path) -> None:
    path = tmp_path / "et.json"
    path.write_bytes(gzip.compress(json.dumps(run().execution_trace()).encode()))
    assert read_execution_trace(path).name == run().et().name


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_trace_cut_in_the_middle_says_how_it_came(share: float) -> None:
    data = json.dumps(run().execution_trace()).encode()
    with pytest.raises(TraceFormatError, match="cut after"):
        read_execution_trace(HERE, data[: int(len(data) * share)])


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_of_a_cut_trace_the_whole_nodes_are_salvaged(packed: bool, tmp_path: Path) -> None:
    document = run().execution_trace()
    data = json.dumps(document).encode()
    last = data.rindex(b'{"id"')
    path = tmp_path / "et.json"
    cut = data[: last + 40]
    path.write_bytes(gzip.compress(cut)[:-8] if packed else cut)
    with pytest.raises(TraceFormatError, match=r"is cut after .*--salvage"):
        read_execution_trace(path)
    et = read_execution_trace(path, salvage=True)
    assert sorted(et.id.tolist()) == sorted(node["id"] for node in document["nodes"][:-1])
    assert not et.complete
    (note,) = et.notes
    assert "before the cut" in note


def test_many_chunks_are_read_as_one(tmp_path: Path) -> None:
    """A chunk ends between two nodes, wherever attributes and tensors look alike."""
    document = run().execution_trace()
    (node,) = document["nodes"][-1:]
    count = 3000  # more than 2 MB
    document["nodes"] += [{**node, "id": 1000 + i, "name": f"op{i % 7}"} for i in range(count)]
    path = tmp_path / "et.json"
    path.write_bytes(json.dumps(document, indent=1).encode())
    assert path.stat().st_size > 2 << 20
    et = read_execution_trace(path)
    assert et.id.tolist()[-count:] == list(range(1000, 1000 + count))
    assert list(et.name)[-count:] == [f"op{i % 7}" for i in range(count)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"nodes": 3}, "is not an execution trace"),
        ({"nodes": [{"name": "no id"}]}, "is not an execution trace"),
        ({"nodes": [{"id": "x"}]}, "is not an execution trace"),
        ({"pid": []}, "is not an execution trace"),
    ],
)
def test_json_of_another_shape_is_told(change: dict[str, Any], told: str) -> None:
    with pytest.raises(TraceFormatError, match=told):
        read({**run().execution_trace(), **change})


@pytest.mark.parametrize("number", [2**64 + 2**63, -(2**63) - 1])
def test_a_number_beyond_64_bits_is_damage(number: int) -> None:
    document = run().execution_trace()
    document["nodes"][-1]["id"] = number
    with pytest.raises(TraceFormatError, match="beyond 64 bits"):
        read(document)
