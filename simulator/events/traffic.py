"""What a graph's transfers ask of shared links: links, flows over them, and each row's flow.

    rows     all_reduce of rank 0 ──.
             all_reduce of rank 1 ───> flow 0 ──> NIC of node 0, NIC of node 1
             send of rank 2 ─────────> flow 1 ──> NIC of node 0

A flow is one transfer, however many ranks' rows it has: the rows of one collective never
contend with each other, for what it takes alone already holds all of it.
"""

from dataclasses import dataclass

import numpy as np

from ...models.errors import InputError
from ...models.graph import NONE, Int32s
from ...models.hardware import LinkTier


@dataclass(frozen=True, slots=True)
class SharedLink:
    """One direction of a port that several flows may cross at once."""

    name: str
    tier: LinkTier
    bytes_per_s: int


@dataclass(frozen=True, slots=True)
class Use:
    """A link that a flow crosses, and how much of it the flow takes when alone."""

    link: int
    bytes_per_s: int


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Links, the uses of each flow, and which flow each row belongs to.

    Attributes:
        flow_of_row: shape (nodes,), -1 for rows that cross no link.

    Raises:
        InputError: a link without bandwidth, or a use that its link cannot give.
    """

    links: tuple[SharedLink, ...]
    flows: tuple[tuple[Use, ...], ...]
    flow_of_row: Int32s

    def __post_init__(self) -> None:
        for link in self.links:
            if link.bytes_per_s <= 0:
                raise InputError(f"link {link.name} has no bandwidth")
        for number, uses in enumerate(self.flows):
            crossed = [use.link for use in uses]
            if len(set(crossed)) < len(crossed):
                raise InputError(f"flow {number} crosses a link twice")
            for use in uses:
                if not 0 <= use.link < len(self.links):
                    raise InputError(f"flow {number} crosses a link that is not there")
                if not 0 < use.bytes_per_s <= self.links[use.link].bytes_per_s:
                    name = self.links[use.link].name
                    raise InputError(f"flow {number} takes of {name} what it cannot give alone")
        if len(self.flow_of_row) and int(np.max(self.flow_of_row)) >= len(self.flows):
            raise InputError("a row belongs to a flow that is not there")


def without_links(nodes: int) -> Traffic:
    """Give the traffic of a graph whose transfers share nothing."""
    return Traffic((), (), np.full(nodes, NONE, dtype=np.int32))
