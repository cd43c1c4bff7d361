"""How long a picture takes, by etsim's layout along the lanes and by Graphviz's dot.

Run: python benchmarks/bench_draw.py (etsim and pygraphviz installed). The graph is a host thread
that launches a kernel with every other row; seconds, and the ratio of dot to lanes.
"""

import time

from etsim.converters.draw import Detail, Form, Layout, Wish, compose, everything, render
from etsim.models.errors import AnalysisError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder


def training(rows: int) -> ExecutionGraph:
    """Host operators in ranges of 300 rows, every other one with a launch and a kernel."""
    builder = GraphBuilder()
    host, stream = builder.lane(LaneKind.HOST, 1, 1), builder.lane(LaneKind.DEVICE, 0, 7)
    last, kernel, span = builder.add("start", host), -1, -1
    for index in range(rows // 3):
        order = [(last, EdgeKind.HOST_ORDER, 0)]
        if index % 100 == 0:
            span = builder.add(f"step_{index}", host, category=Category.ANNOTATION, after=order)
            order = [(span, EdgeKind.HOST_ORDER, 0)]
        op = builder.add(f"op_{index % 7}", host, duration_ns=5000, after=order, parent=span)
        after = [(op, EdgeKind.HOST_ORDER, 0)]
        last = builder.add("launch", host, category=Category.LAUNCH, after=after, parent=op)
        before = [(kernel, EdgeKind.STREAM_ORDER, 0)] if kernel >= 0 else []
        after = [(last, EdgeKind.LAUNCH, 2000), *before]
        kernel = builder.add("kernel", stream, category=Category.KERNEL, after=after)
    return builder.build()


def seconds(graph: ExecutionGraph, layout: Layout, detail: Detail) -> tuple[float, int]:
    """Give the time to compose, lay out and write a PDF, and its number of boxes."""
    start = time.perf_counter()
    picture = compose(graph, everything(graph), Wish(detail))
    render(picture, Form.PDF, layout)
    return time.perf_counter() - start, len(picture.boxes)


def main() -> None:
    """Print a line for each size: all rows drawn, then the collapsed picture of many."""
    print(f"{'rows':>7} {'boxes':>6} {'lanes s':>8} {'dot s':>8} {'ratio':>6}")
    for rows, detail in ((100, Detail.ROWS), (400, Detail.ROWS), (1000, Detail.ROWS),
                         (20_000, Detail.AUTO), (200_000, Detail.AUTO)):  # fmt: skip
        graph = training(rows)
        ours, boxes = seconds(graph, Layout.LANES, detail)
        try:
            theirs = seconds(graph, Layout.DOT, detail)[0]
            compared = f"{theirs:8.2f} {theirs / ours:6.1f}"
        except AnalysisError as error:
            compared = f"  {error.what}"
        print(f"{len(graph):>7,} {boxes:>6,} {ours:8.2f} {compared}")


if __name__ == "__main__":
    main()
