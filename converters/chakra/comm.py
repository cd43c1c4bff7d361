"""What Chakra says of communication: its numbers for the kinds, peers, sizes, groups."""

from dataclasses import dataclass, field

from ...models.graph import NONE, Collective, ExecutionGraph, NodeKind
from .attributes import Value, number, text
from .schema import CollectiveCommType

# A kind is known by how its name begins, letters only: `_allgather_base` is an all-gather.
_TYPE_OF_BEGINNING: tuple[tuple[str, CollectiveCommType], ...] = (
    ("allreduce", CollectiveCommType.ALL_REDUCE),
    ("allgather", CollectiveCommType.ALL_GATHER),
    ("alltoall", CollectiveCommType.ALL_TO_ALL),
    ("reducescatter", CollectiveCommType.REDUCE_SCATTER),
    ("broadcast", CollectiveCommType.BROADCAST),
    ("barrier", CollectiveCommType.BARRIER),
    ("reduce", CollectiveCommType.REDUCE),
    ("gather", CollectiveCommType.GATHER),
    ("scatter", CollectiveCommType.SCATTER),
)
KIND_OF_TYPE: dict[int, str] = {kind.value: kind.name.lower() for kind in CollectiveCommType}
_LARGEST_TAG = 2**31 - 1


def comm_type(kind: str) -> CollectiveCommType | None:
    """Give Chakra's number for a kind of collective, None where it has none.

    >>> comm_type("all_reduce")
    <CollectiveCommType.ALL_REDUCE: 0>
    """
    letters = "".join(letter for letter in kind.lower() if letter.isalpha())
    for beginning, number_on_wire in _TYPE_OF_BEGINNING:
        if letters.startswith(beginning):
            return number_on_wire
    return None


def input_bytes(collective: Collective) -> int:
    """Give what one rank puts in: Chakra's `comm_size`, and what ASTRA-sim takes it for."""
    gathers = comm_type(collective.kind) in {
        CollectiveCommType.ALL_GATHER,
        CollectiveCommType.GATHER,
    }
    return (
        collective.message_bytes // max(len(collective.ranks), 1)
        if gathers
        else (collective.message_bytes)
    )


def encode_comm(
    node: NodeKind, collective: Collective, *, rank: int, sequence: int, group: str
) -> bytes:
    """Give the attributes of a communication node; `group` is what stands as `pg_name`."""
    size = number("comm_size", input_bytes(collective), Value.INT64)
    name = text("pg_name", group)
    if node is NodeKind.COMM_COLL:
        kind = comm_type(collective.kind)
        return (b"" if kind is None else number("comm_type", kind, Value.INT64)) + size + name
    peer = max(collective.peer, 0)
    source, target = (rank, peer) if node is NodeKind.COMM_SEND else (peer, rank)
    return (
        size
        + number("comm_src", source, Value.INT32)
        + number("comm_dst", target, Value.INT32)
        + number("comm_tag", max(sequence, 0) & _LARGEST_TAG, Value.INT32)
        + name
    )


@dataclass(slots=True)
class CommEncoder:
    """Encodes the communication attributes of a graph's rows, each distinct one once."""

    graph: ExecutionGraph
    _known: dict[tuple[int, int, int], bytes] = field(default_factory=dict)

    def parts(self, rows: slice) -> list[bytes]:
        """Give the attributes of some rows, empty for those that do not communicate."""
        nodes = self.graph.nodes
        kinds, sequences = nodes.kind[rows], nodes.sequence[rows]
        parts = [b""] * len(kinds)
        for i in (kinds >= NodeKind.COMM_SEND).nonzero()[0].tolist():
            kind = int(kinds[i])
            tag = NONE if kind == NodeKind.COMM_COLL else int(sequences[i])
            parts[i] = self._part(kind, int(nodes.collective[rows.start + i]), tag)
        return parts

    def _part(self, kind: int, index: int, sequence: int) -> bytes:
        if index == NONE:
            return b""
        key = (kind, index, sequence)
        if key not in self._known:
            collective = self.graph.collectives[index]
            self._known[key] = encode_comm(
                NodeKind(kind),
                collective,
                rank=int(self.graph.nodes.rank[0]),
                sequence=sequence,
                group=collective.group,
            )
        return self._known[key]
