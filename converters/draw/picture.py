"""What a picture shows: boxes on lanes and arrows between them, without a place on the page.

    box 0  forward   lane 0         0 --host order--> 1
    box 1  backward  lane 0         0 --launch, 12 of them--> 2
    box 2  forward   lane 1 (stream)

Boxes stand so that every arrow points from a lower to a higher index, but for pictures cut into
slices, where boxes of one slice may wait for each other.
"""

from dataclasses import dataclass

from ...models.graph import NONE, Category, EdgeKind, LaneKind


@dataclass(frozen=True, slots=True)
class Strip:
    """One lane of one rank; drawn as a cluster."""

    label: str
    kind: LaneKind


@dataclass(frozen=True, slots=True)
class Box:
    """A row, or rows drawn as one.

    Attributes:
        number: how the picture refers to the box; a row's own number where nothing is collapsed.
        strip: into `Picture.strips`.
        repeats: how many operators, modules or ranges of this name were merged.
        duration_ns: summed over the rows.
        shares: the time by category, largest first; more than one entry only for groups.
        detail: what most of a group's time goes to, "" where the name says it.
        slice: which slice of the rows, NONE where the picture is not cut into slices.
    """

    number: int
    name: str
    category: Category
    strip: int
    duration_ns: int
    rows: int = 1
    repeats: int = 1
    shares: tuple[tuple[Category, int], ...] = ()
    detail: str = ""
    slice: int = NONE


@dataclass(frozen=True, slots=True)
class Arrow:
    """All edges of one kind from one box to another; `source` and `target` are box indices."""

    source: int
    target: int
    kind: EdgeKind
    count: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """A dependency graph ready to be laid out.

    Attributes:
        remarks: what the picture leaves out or merges, one sentence each; the footer.
        timed: whether durations are known at all.
        level: what a box stands for, as in `every row`.
    """

    title: str
    subtitle: str
    level: str
    strips: tuple[Strip, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    remarks: tuple[str, ...] = ()
    timed: bool = True
