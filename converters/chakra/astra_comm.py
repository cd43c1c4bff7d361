"""Communication as ASTRA-sim knows it: five kinds, numbered groups, messages in pairs.

ASTRA-sim waits for ever where ranks disagree, so they are compared before anything is written.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...models.errors import RankError
from ...models.graph import NONE, Collective, ExecutionGraph, NodeKind
from .comm import comm_type, input_bytes
from .schema import CollectiveCommType as Comm

GroupKey: TypeAlias = tuple[str, tuple[int, ...]]  # name and ranks
WORLD = 0  # ASTRA-sim's name for all ranks
LEAST_BYTES_A_RANK = 64  # ASTRA-sim divides a message by ranks and chunks: nothing must be left

_KNOWN = (Comm.ALL_REDUCE, Comm.ALL_GATHER, Comm.ALL_TO_ALL, Comm.REDUCE_SCATTER, Comm.BROADCAST)
_STAND_IN: Mapping[Comm, Comm] = {
    **{kind: kind for kind in _KNOWN},
    Comm.REDUCE: Comm.ALL_REDUCE,
    Comm.GATHER: Comm.ALL_GATHER,
    Comm.SCATTER: Comm.BROADCAST,
    Comm.REDUCE_SCATTER_BLOCK: Comm.REDUCE_SCATTER,
    Comm.BARRIER: Comm.ALL_REDUCE,
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a communicating row becomes; `chain` names the queue whose order must be kept."""

    node: NodeKind
    collective: Collective
    sequence: int
    chain: GroupKey


class Groups:
    """Numbers the groups of a set of ranks from 1, all ranks together being 0."""

    def __init__(self, graphs: Sequence[ExecutionGraph], ranks: int) -> None:
        self.ranks = ranks
        spoken = [
            what
            for graph in graphs
            for what in graph.collectives
            if comm_type(what.kind) is not None
        ]
        named = sorted({self.key(what) for what in spoken if self.key(what)[1] != self._world})
        self._number = {key: number for number, key in enumerate(named, 1)}

    @property
    def _world(self) -> tuple[int, ...]:
        return tuple(range(self.ranks))

    def key(self, collective: Collective) -> GroupKey:
        """Give what tells a communicator from another; without ranks it is of all."""
        return collective.group, tuple(sorted(collective.ranks)) or self._world

    def number(self, key: GroupKey) -> int:
        """Give the group's number in ASTRA-sim's file of groups."""
        return self._number.get(key, WORLD)

    def table(self) -> dict[str, list[int]]:
        """Give ASTRA-sim's file of groups."""
        return {str(number): list(key[1]) for key, number in self._number.items()}


def messages(
    graph: ExecutionGraph, rows: Sequence[int], groups: Groups, told: Counter[str]
) -> dict[int, Message]:
    """Give what each communicating row becomes; rows that only their duration tells are left out.

    Args:
        graph: the rows' graph.
        rows: of one rank, in order.
        groups: of all ranks.
        told: counts what is approximated.
    """
    found: dict[int, Message] = {}
    count: Counter[GroupKey] = Counter()
    for row in rows:
        kind, index = NodeKind(graph.nodes.kind[row]), int(graph.nodes.collective[row])
        if kind < NodeKind.COMM_SEND:
            continue
        what = Collective("") if index == NONE else graph.collectives[index]
        message = (
            _collective(what, groups, told)
            if kind is NodeKind.COMM_COLL
            else _point_to_point(kind, what, int(graph.nodes.rank[row]), count, told)
        )
        if message is not None:
            found[row] = message
    return found


def _collective(what: Collective, groups: Groups, told: Counter[str]) -> Message | None:
    kind = comm_type(what.kind)
    if kind is None:
        told[f"collectives of kind {what.kind!r} are replayed as computing"] += 1
        return None
    stand_in = _STAND_IN[kind]
    if stand_in is not kind:
        told[f"{kind.name.lower()} is written as {stand_in.name.lower()}"] += 1
    if stand_in is Comm.BROADCAST:
        told["broadcast takes its recorded time: ASTRA-sim does not model it"] += 1
    key = groups.key(what)
    size, least = input_bytes(what), LEAST_BYTES_A_RANK * len(key[1])
    if size < least:
        told[f"messages below {LEAST_BYTES_A_RANK} bytes a rank are raised to it"] += 1
    written = Collective(
        stand_in.name.lower(), str(groups.number(key)), message_bytes=max(size, least)
    )
    return Message(NodeKind.COMM_COLL, written, NONE, key)


def _point_to_point(
    kind: NodeKind, what: Collective, rank: int, count: Counter[GroupKey], told: Counter[str]
) -> Message | None:
    if what.peer == NONE:
        told["sends and receives without a recorded peer are replayed as computing"] += 1
        return None
    ends = (rank, what.peer) if kind is NodeKind.COMM_SEND else (what.peer, rank)
    key: GroupKey = (kind.name, ends)
    sequence = count[key]  # the n-th message of a pair carries tag n on both sides
    count[key] += 1
    written = Collective(
        what.kind, str(WORLD), message_bytes=max(what.message_bytes, 1), peer=what.peer
    )
    return Message(kind, written, sequence, key)


def refuse_disagreement(of_rank: Mapping[int, Sequence[Message]]) -> None:
    """Compare what the ranks of each group say, in order.

    Raises:
        RankError: they disagree.
    """
    said: defaultdict[GroupKey, dict[int, list[str]]] = defaultdict(dict)
    sent: Counter[GroupKey] = Counter()
    received: Counter[GroupKey] = Counter()
    for rank, spoken in of_rank.items():
        for message in spoken:
            ends = ("", message.chain[1])
            if message.node is NodeKind.COMM_COLL:
                said[message.chain].setdefault(rank, []).append(message.collective.kind)
            elif message.node is NodeKind.COMM_SEND:
                sent[ends] += 1
            else:
                received[ends] += 1
    remedy = "ASTRA-sim would wait for ever: give the same steps of every rank"
    absent = _absent(set(of_rank), {*said, *sent, *received})
    for fault in (*absent, *_collective_faults(said), *_pair_faults(sent, received)):
        raise RankError(fault, remedy=remedy)


def _absent(present: set[int], keys: set[GroupKey]) -> Iterator[str]:
    for name, ranks in sorted(keys):
        missing = sorted(set(ranks) - present)
        if missing:
            told = f"group {name!r}" if name else "a send or receive"
            yield f"{told} needs the ranks {list(ranks)}, of which {missing} are not given"


def _collective_faults(said: Mapping[GroupKey, dict[int, list[str]]]) -> Iterator[str]:
    for (name, ranks), by_rank in sorted(said.items()):
        first = ranks[0]
        for rank in ranks[1:]:
            mine, other = by_rank.get(first, []), by_rank.get(rank, [])
            if mine != other:
                shorter = min(len(mine), len(other))
                at = next((i for i in range(shorter) if mine[i] != other[i]), shorter)
                kinds = [kinds[at] if at < len(kinds) else "nothing" for kinds in (mine, other)]
                yield (
                    f"collective {at + 1} of group {name!r} is {kinds[0]} on rank {first} "
                    f"and {kinds[1]} on rank {rank}"
                )


def _pair_faults(sent: Counter[GroupKey], received: Counter[GroupKey]) -> Iterator[str]:
    for key in sorted(sent.keys() | received.keys()):
        if sent[key] != received[key]:
            source, target = key[1]
            yield (
                f"rank {source} sends {sent[key]} messages to rank {target}, "
                f"which receives {received[key]}"
            )
