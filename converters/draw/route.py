"""How arrows run inside a band: along gaps between columns and channels between strips.

        column 0   gap 0   column 1   gap 1   column 2
         [ a ]--------------->[ b ]              |         strip 0
                   |_____________________________ ___      channel 0, below strip 0
                                              |
                                              '->[ c ]     strip 1

An arrow leaves to the right, turns in the gap, runs along the channel next to its target's strip,
turns again in the gap before its target, and enters from the left; so it never crosses a box.
In a gap or channel each arrow has its own track; arrows of one kind from (or to) one box share one.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...models.graph import EdgeKind
from .picture import Arrow


@dataclass(frozen=True, slots=True)
class End:
    """An arrow's end: the row of the strip within the band, and the column."""

    strip: int
    column: int
    slot: int


@dataclass(frozen=True, slots=True)
class Net:
    """Arrows of one kind that leave one box together, or enter it together."""

    box: int
    kind: EdgeKind
    entering: bool


@dataclass(frozen=True, slots=True)
class Wire:
    """An arrow's way. `channel` is -1 for arrows that turn in one gap or in none.

    Attributes:
        straight: from a box to the next one on its right, with no box between.
        backwards: enters from the right, as its target stands in the same column or before.
        out_track, in_track, channel_track: which track in the gaps and the channel.
    """

    arrow: Arrow
    net: Net
    source: End
    target: End
    straight: bool
    backwards: bool
    out_gap: int
    in_gap: int
    channel: int
    out_track: int = 0
    in_track: int = 0
    channel_track: int = 0


@dataclass(frozen=True, slots=True)
class Routes:
    """The wires of a band, and how many tracks each gap and channel has."""

    wires: tuple[Wire, ...]
    gap_tracks: dict[int, int]
    channel_tracks: dict[int, int]


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of a gap or channel that a wire needs; `net` may share its track with itself."""

    place: int
    first: int
    last: int
    net: Net


def route(arrows: Iterable[Arrow], end_of: Mapping[int, End]) -> Routes:
    """Find the way of each arrow of a band; `end_of` tells where each of its boxes stands."""
    taken = set(end_of.values())
    arrows = tuple(arrows)
    nets = _nets(arrows)
    wires = [
        _wire(arrow, end_of[arrow.source], end_of[arrow.target], nets[arrow], taken)
        for arrow in arrows
    ]
    out_spans = [None if wire.straight else _out_span(wire) for wire in wires]
    in_spans = [None if wire.channel < 0 else _in_span(wire) for wire in wires]
    channel_spans = [None if wire.channel < 0 else _channel_span(wire) for wire in wires]
    turns, gap_tracks = _tracks([*out_spans, *in_spans])
    runs, channel_tracks = _tracks(channel_spans)
    placed = tuple(
        replace(wire, out_track=out_track, in_track=in_track, channel_track=run)
        for wire, out_track, in_track, run in zip(
            wires, turns[: len(wires)], turns[len(wires) :], runs, strict=True
        )
    )
    return Routes(placed, gap_tracks, channel_tracks)


def _nets(arrows: Sequence[Arrow]) -> dict[Arrow, Net]:
    """Let arrows of a kind share tracks: those to one box where more meet there, else from one."""
    leaving = Counter((arrow.source, arrow.kind) for arrow in arrows)
    entering = Counter((arrow.target, arrow.kind) for arrow in arrows)
    return {
        arrow: Net(arrow.target, arrow.kind, entering=True)
        if entering[arrow.target, arrow.kind] > leaving[arrow.source, arrow.kind]
        else Net(arrow.source, arrow.kind, entering=False)
        for arrow in arrows
    }


def _wire(arrow: Arrow, source: End, target: End, net: Net, taken: Container[End]) -> Wire:
    backwards = target.column <= source.column
    out_gap = source.column
    in_gap = target.column if backwards else target.column - 1
    same_row = (source.strip, source.slot) == (target.strip, target.slot)
    between = range(source.column + 1, target.column)
    free = all(End(source.strip, column, source.slot) not in taken for column in between)
    channel = target.strip - 1 if target.strip > source.strip else target.strip
    straight = same_row and not backwards and free
    return Wire(
        arrow,
        net,
        source,
        target,
        straight=straight,
        backwards=backwards,
        out_gap=out_gap,
        in_gap=in_gap,
        channel=-1 if straight or out_gap == in_gap else channel,
    )


def _out_span(wire: Wire) -> _Span:
    """From the source's strip to the channel, or to the target's strip; strips count double."""
    end = 2 * wire.target.strip if wire.channel < 0 else 2 * wire.channel + 1
    first, last = sorted((2 * wire.source.strip, end))
    return _Span(wire.out_gap, first, last, wire.net)


def _in_span(wire: Wire) -> _Span:
    first, last = sorted((2 * wire.target.strip, 2 * wire.channel + 1))
    return _Span(wire.in_gap, first, last, wire.net)


def _channel_span(wire: Wire) -> _Span:
    first, last = sorted((wire.out_gap, wire.in_gap))
    return _Span(wire.channel, first, last, wire.net)


def _tracks(spans: Sequence[_Span | None]) -> tuple[list[int], dict[int, int]]:
    """Give each span the first track of its place that is free, and the tracks of each place."""
    track_of = [0] * len(spans)
    tracks: dict[int, list[list[_Span]]] = {}
    wanted = [(span, index) for index, span in enumerate(spans) if span is not None]
    for span, index in sorted(wanted, key=lambda item: (item[0].first, -item[0].last, item[1])):
        here = tracks.setdefault(span.place, [])
        free = next((n for n, taken in enumerate(here) if not _clash(span, taken)), len(here))
        if free == len(here):
            here.append([])
        here[free].append(span)
        track_of[index] = free
    return track_of, {place: len(here) for place, here in tracks.items()}


def _clash(span: _Span, taken: Iterable[_Span]) -> bool:
    return any(
        other.first <= span.last and span.first <= other.last and other.net != span.net
        for other in taken
    )
