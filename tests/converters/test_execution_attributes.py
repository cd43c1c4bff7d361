"""Attributes read for many nodes at once are those read one by one."""

import json
from pathlib import Path
from typing import Any

import pytest

from etsim.converters.execution_attributes import ATTRIBUTE_FIELDS, AttributeReader, UsualNode
from etsim.converters.execution_nodes import NestedNode, NodeDecoder
from etsim.models.errors import TraceFormatError

HERE = Path("et.json")
CHUNK = 1000
Json = dict[str, Any]
USUAL = {"rf_id": 7, "fw_parent": 3, "seq_id": -1, "scope": 7, "tid": 2, "fw_tid": 1}


def attribute(name: str, value: int | str, kind: str = "uint64") -> Json:
    return {"name": name, "type": kind, "value": value}


def usual(schema: str = "aten::mm(Tensor a)", **numbers: int) -> list[Json]:
    """Give the attributes in PyTorch's order."""
    items = [attribute(name, value) for name, value in {**USUAL, **numbers}.items()]
    return [
        *items,
        attribute("op_schema", schema, "string"),
        attribute("kernel_file", "", "string"),
    ]


def read(*attrs: list[Json], indent: int | None = None) -> dict[str, list[int] | list[str]]:
    nodes = [{"id": 1, "attrs": attributes} for attributes in attrs]
    reader, decode = AttributeReader(HERE), NodeDecoder(HERE)
    for first in range(0, len(nodes), CHUNK):
        reader.read(decode(json.dumps(nodes[first : first + CHUNK], indent=indent).encode()))
    found = reader.attributes()
    return {
        **{name: found.numbers[name].tolist() for name in ATTRIBUTE_FIELDS},
        "op_schema": list(found.op_schema),
    }


def test_usual_nodes_are_decoded_by_place_and_others_by_name() -> None:
    def kind(attrs: list[Json]) -> type:
        (node,) = NodeDecoder(HERE)(json.dumps([{"id": 1, "attrs": attrs}]).encode())
        return type(node)

    assert kind(usual()) is UsualNode
    assert kind(usual()[::-1]) is NestedNode


@pytest.mark.parametrize("indent", [None, 2])
def test_usual_attributes_are_told_apart_by_their_place(indent: int | None) -> None:
    said = read(usual(rf_id=64, seq_id=5), usual("", tid=10), indent=indent)
    assert said == {
        "rf_id": [64, 7], "fw_parent": [3, 3], "seq_id": [5, -1], "scope": [7, 7], "tid": [2, 10],
        "op_schema": ["aten::mm(Tensor a)", ""],
    }  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        usual()[::-1],
        [attribute("new", 1), *usual()],
        usual('says "so"'),
        usual("µs"),
        usual(seq_id=2**64 - 1),
        [*usual()[:6], attribute("op_schema", "aten::mm(Tensor a)", "string")],
    ],
    ids=["reversed", "one more", "quotes", "no ASCII", "unsigned none", "schema last"],
)
def test_one_that_is_written_otherwise_changes_nothing_for_its_neighbours(
    other: list[Json],
) -> None:
    before, after = usual("x", rf_id=1), usual("y", rf_id=2)
    alone, among = read(other), read(before, other, after)
    assert {key: values[1] for key, values in among.items()} == {k: v[0] for k, v in alone.items()}
    assert (among["rf_id"][0], among["rf_id"][2]) == (1, 2)
    assert (among["op_schema"][0], among["op_schema"][2]) == ("x", "y")
    assert alone["seq_id"] == [-1]


def test_what_is_missing_keeps_its_default() -> None:
    assert read([attribute("rf_id", 9)]) == {
        "rf_id": [9], "fw_parent": [0], "seq_id": [-1], "scope": [0], "tid": [0], "op_schema": [""],
    }  # fmt: skip


def test_many_chunks_are_read_in_order() -> None:
    said = read(*(usual(f"op{i % 3}", rf_id=i) for i in range(9000)))
    assert said["rf_id"] == list(range(9000))
    assert said["op_schema"][:4] == ["op0", "op1", "op2", "op0"]


def test_attributes_that_are_no_list_are_told() -> None:
    nodes = NodeDecoder(HERE)(b'[{"id": 1, "attrs": {"rf_id": 7}}]')
    with pytest.raises(TraceFormatError, match="is not an execution trace"):
        AttributeReader(HERE).read(nodes)
