"""How things look and are called in pictures: colours, line styles, durations, short names."""

import re
from dataclasses import dataclass

from ...models.graph import Category, EdgeKind, LaneKind


@dataclass(frozen=True, slots=True)
class BoxStyle:
    """Fill and border of a category's boxes, and its name in the legend."""

    fill: str
    border: str
    title: str


@dataclass(frozen=True, slots=True)
class LineStyle:
    """Colour and dashes (points on, points off) of an edge kind, and its name in the legend."""

    colour: str
    dash: tuple[float, ...]
    title: str
    width: float = 0.8

    @property
    def dot(self) -> str:
        """Give the nearest of Graphviz's line styles."""
        if not self.dash:
            return "solid"
        return "dotted" if self.dash[0] <= 1 else "dashed"


BOX_STYLES: dict[Category, BoxStyle] = {
    Category.HOST: BoxStyle("#DDE6F3", "#5B7BA3", "host operator or call"),
    Category.KERNEL: BoxStyle("#CFEBD3", "#3B8F4E", "kernel"),
    Category.MEMCPY: BoxStyle("#FFE4A8", "#B98200", "memory copy"),
    Category.MEMSET: BoxStyle("#FFF3D1", "#B98200", "memory set"),
    Category.COLLECTIVE: BoxStyle("#F8CDD8", "#B83A5B", "collective"),
    Category.SEND: BoxStyle("#F0D3EE", "#8E4A97", "send"),
    Category.RECV: BoxStyle("#E4D6F4", "#6B4FA0", "receive"),
    Category.SYNC: BoxStyle("#D6D6D6", "#555555", "wait for the device"),
    Category.ANNOTATION: BoxStyle("#F5F3E7", "#9A9272", "annotated range, own time"),
    Category.LAUNCH: BoxStyle("#C6E5F7", "#2A86B8", "launch"),
    Category.ORIGIN: BoxStyle("#FFFFFF", "#333333", "start of the window"),
    Category.JOIN: BoxStyle("#FFFFFF", "#B83A5B", "ranks meet"),
}

LINE_STYLES: dict[EdgeKind, LineStyle] = {
    EdgeKind.HOST_ORDER: LineStyle("#6D81A0", (), "next on the thread"),
    EdgeKind.STREAM_ORDER: LineStyle("#4E9A5E", (), "next on the stream"),
    EdgeKind.LAUNCH: LineStyle("#1F7FB5", (4, 1.5), "launch: host to device"),
    EdgeKind.SYNC: LineStyle("#D1394B", (6, 2), "wait: device to host", 1.1),
    EdgeKind.STREAM_WAIT: LineStyle("#E08700", (3, 2), "stream waits for stream", 1.1),
    EdgeKind.HANDOVER: LineStyle("#7B4FB3", (), "thread hands over to thread", 1.1),
    EdgeKind.RENDEZVOUS: LineStyle("#B83A5B", (6, 1.5, 1, 1.5), "ranks meet", 1.1),
    EdgeKind.QUEUE_DEPTH: LineStyle("#8C8C8C", (1, 2), "room in the launch queue"),
    EdgeKind.DATA: LineStyle("#222222", (), "data"),
    EdgeKind.EXTERNAL: LineStyle("#777777", (8, 3), "work outside the window"),
}

STRIP_FILLS: dict[LaneKind, str] = {
    LaneKind.HOST: "#F7F9FC",
    LaneKind.DEVICE: "#F4FAF5",
    LaneKind.VIRTUAL: "#FAFAFA",
}


def duration_text(duration_ns: int) -> str:
    """Give a duration with a unit and three digits: `1.23 ms`.

    >>> duration_text(999), duration_text(12_345), duration_text(2_500_000_000)
    ('0.999 µs', '12.3 µs', '2.50 s')
    """
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        value = duration_ns / size
        if value >= 0.9995 or unit == "µs":
            digits = 3 if value < 0.9995 else 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:,.{digits}f} {unit}" if duration_ns else "0"
    raise AssertionError  # the last unit always returns


def short_name(name: str) -> str:
    """Strip a C++ kernel's return type, template arguments and parameters, and autograd's prefix.

    >>> short_name("void at::native::(anonymous namespace)::fill<4, float>(int, float*)")
    'at::native::fill'
    >>> short_name("aten::mm")
    'aten::mm'
    """
    name = name.removeprefix("autograd::engine::evaluate_function: ")
    if "<" not in name and not name.startswith("void "):
        return name
    plain = name.removeprefix("void ").replace("(anonymous namespace)::", "")
    plain = _without_brackets(plain, "<", ">").split("(")[0].strip()
    return plain or name


def _without_brackets(text: str, opening: str, closing: str) -> str:
    depth = 0
    kept: list[str] = []
    for char in text:
        if char == opening:
            depth += 1
        elif char == closing and depth:
            depth -= 1
        elif not depth:
            kept.append(char)
    return "".join(kept)


def without_numbers(name: str) -> str:
    """Give a name with its numbers taken out, so that `block.3` and `block.4` are one.

    >>> without_numbers("Net/block.3/Linear")
    'Net/block.*/Linear'
    """
    return re.sub(r"\d+", "*", name)
