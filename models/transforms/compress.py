"""Compress gradients before they are sent, as DDP's communication hooks do.

fp16        half the bytes, a cast before and after
topk        k of n values with their indices, gathered from all: ranks · ratio · 2 · bytes
powersgd    an (m, n) gradient as (m, r) and (n, r): r (m + n) values, two products each way
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from math import prod

import numpy as np

from ..costs.tensors import ITEM_BYTES, dtype_of
from ..errors import UsageError
from ..graph import NONE, Collective, ExecutionGraph, Int64s, Operator
from ..hardware import DeviceKind
from .gradient_messages import Message, gradient_messages, transfer_ratio
from .memory_sharing import COMPRESS
from .pool import Pool, by_first_use
from .recost import by_ratio
from .registry import Parameter, Transform, Value, number, register, whole
from .scenario import Scenario
from .training import Gradient, iterations
from .worker import Work, Worker

METHODS = ("fp16", "topk", "powersgd")
HOOK_CALLS = 4  # to, _to_copy, copy_, div_


def _compress(scenario: Scenario, values: Mapping[str, Value]) -> Scenario:
    method = str(values["method"])
    if method not in METHODS:
        raise UsageError(f"compress: no {method!r}", remedy=f"one of {', '.join(METHODS)}")
    ratio = number(values, "ratio", "compress")
    rank = whole(values, "rank", "compress", least=1)
    graph = scenario.graph
    messages = gradient_messages(graph, "compress")
    travelling = _gradients_of(graph, messages) if method == "powersgd" else {}
    new: dict[int, Collective] = {}
    for message in messages:
        old = _collective(graph, message)
        if method == "powersgd":
            new[message.row] = _factored(old, travelling.get(message.row, []), rank)
        else:
            new[message.row] = _smaller(old, method, ratio)
    after = scenario.with_graph(_resent(scenario, new))
    return _with_hooks(after, messages, method)


def _collective(graph: ExecutionGraph, message: Message) -> Collective:
    index = int(graph.nodes.collective[message.row])
    if index == NONE:
        raise UsageError("compress: the sizes of the messages were not recorded")
    return graph.collectives[index]


def _smaller(old: Collective, method: str, ratio: float) -> Collective:
    if method == "fp16":
        narrow = dtype_of(old.dtype) == "fp32"
        return replace(old, dtype="fp16", message_bytes=old.message_bytes // 2) if narrow else old
    # values and indices of the kept share, from every rank
    size = round(2 * ratio * old.message_bytes * max(1, len(old.ranks)))
    return replace(old, kind="all_gather", message_bytes=size)


def _factored(old: Collective, gradients: list[Gradient], rank: int) -> Collective:
    size = 0
    for gradient in gradients:
        rows, columns = prod(gradient.shape[:1]), prod(gradient.shape[1:])  # a scalar is (1, 1)
        item = ITEM_BYTES[gradient.dtype]
        size += min(gradient.bytes, rank * (rows + columns) * item)
    return replace(old, message_bytes=size or old.message_bytes)


def _gradients_of(graph: ExecutionGraph, messages: list[Message]) -> dict[int, list[Gradient]]:
    """Give the gradients in each message: in order, until its bytes are full."""
    result: dict[int, list[Gradient]] = {}
    issuers = np.array([message.issuer for message in messages])
    ranks = graph.nodes.rank[issuers]
    for iteration in iterations(graph, "compress"):
        mine = (
            (issuers >= iteration.first) & (issuers <= iteration.last) & (ranks == iteration.rank)
        )
        filled, left = np.cumsum(iteration.gradients.bytes), 0
        for place in np.flatnonzero(mine).tolist():
            size = _collective(graph, messages[place]).message_bytes
            sent = int(filled[left - 1]) if left else 0
            after = int(np.searchsorted(filled, sent + size)) + 1 if size > 0 else left
            result[messages[place].row] = list(iteration.gradients[left:after])
            left = min(after, len(filled))
    return result


def _resent(scenario: Scenario, new: Mapping[int, Collective]) -> ExecutionGraph:
    """Give collectives their new messages; measured ones scale by the model's ratio."""
    graph = scenario.graph
    pool = Pool(graph.collectives)
    column, duration = graph.nodes.collective.copy(), graph.nodes.duration_ns.copy()
    ratio_of = cache(partial(transfer_ratio, scenario.costs))
    for row, message in new.items():
        old = graph.collectives[int(column[row])]
        ranks = len(old.ranks) or graph.meta.world_size
        ratio = ratio_of(
            (old.kind, old.message_bytes, ranks), (message.kind, message.message_bytes, ranks)
        )
        if scenario.costs.device.kind is DeviceKind.CPU and dtype_of(message.dtype) == "fp16":
            ratio = 1.0  # a CPU adds halves in software: what sending saves, adding takes
        column[row] = pool[message]
        duration[row] = round(float(duration[row]) * ratio)
    nodes = replace(
        graph.nodes, collective=column, duration_ns=duration,
        provenance=by_ratio(graph, duration),
    )  # fmt: skip
    return replace(graph, nodes=nodes, collectives=pool.values).checked()


def _with_hooks(scenario: Scenario, messages: list[Message], method: str) -> Scenario:
    """Insert the work of compressing in front of each issue and of expanding before its use."""
    worker = Worker(scenario)
    graph, on_device = scenario.graph, scenario.graph.on_device()
    used = [message.waiters[:1] for message in messages]
    sizes = [graph.collectives[i].message_bytes for i in _indices(graph, messages)]
    elements = np.array([max(1, size // 2) for size in sizes])
    kind, distinct = by_first_use(elements)
    packs = [_pass_over(size, ("float", "c10::Half"), method) for size in distinct]
    unpacks = [_pass_over(size, ("c10::Half", "float"), method) for size in distinct]
    for pair in zip(packs, unpacks, strict=True):
        for operator in pair:  # in this order they stand in the table
            worker.insertion.operator(operator)
    before = np.array([message.issuer - 1 for message in messages])
    lane = graph.nodes.lane[[message.issuer for message in messages]].astype(np.int64)
    numbers = [_reserved(worker, 1 + len(waiters)) for waiters in used]
    pack = Work(before, f"{method} compress", lane, HOOK_CALLS)
    worker.works(np.concatenate([each[0] for each in numbers]), pack, kind, packs)
    waits = np.array([bool(waiters) for waiters in used])
    if waits.any():
        rows = np.array([waiters[0] for waiters in used if waiters])
        host = np.array([_host_of(graph, row) if on_device[row] else row for row in rows.tolist()])
        unpack = Work(host, f"{method} expand", graph.nodes.lane[host].astype(np.int64), HOOK_CALLS)
        expands = np.concatenate([each[1] for each in numbers if len(each) > 1])
        worker.works(expands, unpack, kind[waits], unpacks)
    return worker.scenario


def _indices(graph: ExecutionGraph, messages: list[Message]) -> list[int]:
    rows = [message.row for message in messages]
    indices: list[int] = graph.nodes.collective[rows].tolist()
    return indices


def _reserved(worker: Worker, works: int) -> list[Int64s]:
    """Reserve the numbers of some works that follow each other."""
    return [worker.insertion.reserve(worker.rows_of_work) for _ in range(works)]


def _host_of(graph: ExecutionGraph, row: int) -> int:
    """Give the launch of a kernel that waits, itself where it is not known."""
    parent = int(graph.nodes.parent[row])
    return parent if parent != NONE else row


def _pass_over(elements: int, types: tuple[str, str], method: str) -> Operator:
    shape = (elements,)
    if method == "fp16":
        return Operator("aten::copy_", input_shapes=(shape, shape), input_types=types[::-1])
    return Operator("aten::mul", input_shapes=(shape, shape), input_types=("float", "float"))


register(
    Transform(
        name="compress",
        about="Compress gradients before they are sent.",
        edit="Shortens the messages of gradients, scales measured ones by the model's ratio, and "
        "inserts a pass over the message in front of its issue and behind its wait.",
        assumes="choosing values (topk) and factoring (powersgd) cost one pass over what is sent",
        needs="a data-parallel run with the sizes of its messages",
        parameters=(
            Parameter("method", "fp16, topk or powersgd", "fp16", is_text=True),
            Parameter("ratio", "topk: share of values kept", 0.01),
            Parameter("rank", "powersgd: rank of the factors", 1.0),
        ),
        apply=_compress,
        memory=COMPRESS,
    )
)
