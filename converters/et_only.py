"""A graph from an execution trace alone: order and shapes, but no times."""

import numpy as np

from ..models.graph import (
    COLUMN_DEFAULTS,
    COLUMN_TYPES,
    NONE,
    Category,
    Columns,
    EdgeKind,
    ExecutionGraph,
    GraphMeta,
    Int64s,
    Lane,
    LaneKind,
    NodeKind,
    Operator,
)
from ..models.graph_builder import Interner
from .execution_trace import ExecutionTrace, is_structural
from .link.assemble import ORIGIN_NAME
from .link.operators import parse_dims, parse_strings

USER_SCOPE = 7  # torch's RecordScope of record_function ranges
NO_TIMES = "the execution trace has no times: give its Kineto trace with --trace"


def graph_without_times(et: ExecutionTrace, rank: int) -> ExecutionGraph:
    """Give one row a node in order of ids, chained per thread behind the origin."""
    nodes = np.array(
        [index for index, name in enumerate(et.name) if not is_structural(name)], dtype=np.int64
    )
    names: Interner[str] = Interner()
    lanes: Interner[int] = Interner()
    operators: Interner[Operator] = Interner()
    count = 1 + len(nodes)
    columns = {
        key: np.full(count, COLUMN_DEFAULTS.get(key, 0), dtype=np.int64) for key in COLUMN_TYPES
    }
    columns["name"][:] = [names[ORIGIN_NAME], *(names[et.name[n]] for n in nodes.tolist())]
    columns["lane"][1:] = [1 + lanes[int(et.tid[n])] for n in nodes.tolist()]
    columns["operator"][1:] = [operators[_operator(et, n)] for n in nodes.tolist()]
    columns["category"][1:] = np.where(
        et.scope[nodes] == USER_SCOPE, Category.ANNOTATION, Category.HOST
    )
    columns["category"][0], columns["kind"][0] = Category.ORIGIN, NodeKind.METADATA
    columns["rf_id"][1:] = et.rf_id[nodes]
    columns["seq_id"][1:] = et.seq_id[nodes]
    columns["parent"][1:] = _rows_of_ids(et, nodes, et.parent[nodes])
    columns["fw_parent"][1:] = _rows_of_ids(et, nodes, et.fw_parent[nodes])
    columns["rank"][:] = rank
    source = _previous_on_lane(columns["lane"])
    return ExecutionGraph(
        nodes=Columns(**{k: v.astype(COLUMN_TYPES[k]) for k, v in columns.items()}),
        edge_start=np.concatenate(([0], np.arange(count))).astype(np.int64),
        edge_source=source.astype(np.int32),
        edge_kind=np.where(source == 0, EdgeKind.EXTERNAL, EdgeKind.HOST_ORDER).astype(np.uint8),
        edge_lag_ns=np.zeros(count - 1, dtype=np.int64),
        names=tuple(names),
        lanes=(
            Lane(LaneKind.VIRTUAL, 0, 0, ORIGIN_NAME),
            *(Lane(LaneKind.HOST, et.pid, tid) for tid in lanes),
        ),
        operators=tuple(operators),
        meta=GraphMeta(
            rank=rank,
            has_times=False,
            properties=(("schema", et.schema), ("pid", str(et.pid))),
            notes=(NO_TIMES, *et.notes),
        ),
    ).checked()


def _operator(et: ExecutionTrace, node: int) -> Operator:
    inputs, outputs = et.inputs[node], et.outputs[node]
    return Operator(
        name=et.name[node],
        schema=et.op_schema[node],
        input_shapes=parse_dims(bytes(inputs.shapes)),
        input_types=parse_strings(bytes(inputs.types)),
        output_shapes=parse_dims(bytes(outputs.shapes)),
        output_types=parse_strings(bytes(outputs.types)),
    )


def _rows_of_ids(et: ExecutionTrace, nodes: Int64s, wanted: Int64s) -> Int64s:
    """Rows of the nodes with the wanted ids; -1 where an id is 0 or a structural node's."""
    ids = et.id[nodes]
    if not len(ids):
        return wanted
    place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where((wanted > 0) & (ids[place] == wanted), place + 1, NONE)


def _previous_on_lane(lane: Int64s) -> Int64s:
    """The row before each row on its lane, the origin for a lane's first; shape (nodes - 1,)."""
    last: dict[int, int] = {}
    previous = []
    for row, number in enumerate(lane.tolist()):
        if row:
            previous.append(last.get(number, 0))
        last[number] = row
    return np.array(previous, dtype=np.int64)
