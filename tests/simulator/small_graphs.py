"""Small random graphs where only costs and edges matter: quicker to draw than whole ones."""

from hypothesis import strategies as st

from etsim.models.graph import Category, EdgeKind, ExecutionGraph, GraphMeta, LaneKind, Operator
from etsim.models.graph_builder import GraphBuilder

KINDS = (EdgeKind.HOST_ORDER, EdgeKind.STREAM_ORDER, EdgeKind.LAUNCH, EdgeKind.SYNC)
CATEGORIES = (Category.HOST, Category.KERNEL, Category.COLLECTIVE, Category.SYNC)
LANES = 3
durations_ns = st.one_of(st.integers(0, 9), st.integers(0, 10**6))
lags_ns = st.one_of(st.just(0), st.integers(0, 9), st.integers(-9, 10**6))


@st.composite
def small_graphs(draw: st.DrawFn, max_rows: int = 10, *, least_lag_ns: int = -9) -> ExecutionGraph:
    """Give a graph of an origin and up to `max_rows` rows in a few lanes, edges at random."""
    builder = GraphBuilder()
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    lanes = [builder.lane(LaneKind.HOST, 0, number) for number in range(LANES)]
    builder.add("window", virtual, category=Category.ORIGIN)
    edge = st.tuples(st.integers(1, 4), st.sampled_from(KINDS), lags_ns)
    row = st.tuples(
        durations_ns, st.integers(0, LANES - 1), st.sampled_from(CATEGORIES),
        st.lists(edge, max_size=3), st.booleans(),
    )  # fmt: skip
    for place, (duration, lane, category, edges, hangs) in enumerate(
        draw(st.lists(row, max_size=max_rows)), start=1
    ):
        after = [(max(0, place - back), kind, max(least_lag_ns, lag)) for back, kind, lag in edges]
        if hangs:
            after.append((0, EdgeKind.EXTERNAL, duration // 2))
        builder.add(f"r{place % 4}", lanes[lane], category=category, duration_ns=duration,
                    after=after)  # fmt: skip
    return builder.build()


def launched_products() -> ExecutionGraph:
    """Give a launch and two matrix products on a stream of an H100."""
    builder = GraphBuilder(GraphMeta(source_device="NVIDIA H100 80GB HBM3"))
    virtual = builder.lane(LaneKind.VIRTUAL, 0, 0)
    host = builder.lane(LaneKind.HOST, 1, 1)
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    before = builder.add("window", virtual, category=Category.ORIGIN)
    square = ((4096, 4096), (4096, 4096))
    product = Operator("aten::mm", input_shapes=square, input_types=("c10::BFloat16",) * 2)
    call = builder.add(
        "cudaLaunchKernel",
        host,
        duration_ns=5_000,
        category=Category.LAUNCH,
        after=[(before, EdgeKind.EXTERNAL, 0)],
    )
    last, waits = call, EdgeKind.LAUNCH
    for _ in range(2):
        last = builder.add(
            "gemm",
            stream,
            duration_ns=200_000,
            category=Category.KERNEL,
            operator=product,
            after=[(last, waits, 1_000)],
            parent=call,
        )
        waits = EdgeKind.STREAM_ORDER
    return builder.build()
