"""What Chakra says of communication: its numbers for the kinds, peers, sizes, groups."""

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


def encode_comm(
    node: NodeKind, collective: Collective, *, rank: int, sequence: int, group: str
) -> bytes:
    """Give the attributes of a communication node; `group` is what stands as `pg_name`."""
    size = number("comm_size", collective.message_bytes, Value.INT64)
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


def comm_parts(graph: ExecutionGraph, first: int, after: int) -> list[bytes]:
    """Give the communication attributes of rows first..after-1, empty for all other rows."""
    parts = [b""] * (after - first)
    kinds = graph.nodes.kind[first:after]
    for i in (kinds >= NodeKind.COMM_SEND).nonzero()[0].tolist():
        row = first + i
        index = int(graph.nodes.collective[row])
        if index != NONE:
            collective = graph.collectives[index]
            parts[i] = encode_comm(
                NodeKind(int(kinds[i])),
                collective,
                rank=int(graph.nodes.rank[row]),
                sequence=int(graph.nodes.sequence[row]),
                group=collective.group,
            )
    return parts
