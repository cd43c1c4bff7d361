"""Draw small timelines for tests: `.host(...)`, `.device(...)`; times are given."""

from dataclasses import dataclass, field

from etsim.models.graph import NONE, Category, Collective, EdgeKind, GraphMeta, LaneKind, Operator
from etsim.models.graph_builder import GraphBuilder
from etsim.models.timeline import Timeline, measured


@dataclass(slots=True)
class Drawing:
    """Rows with their times; host rows of a thread follow each other by host order."""

    rank: int = 0
    base_ns: int = 0
    builder: GraphBuilder = field(init=False)
    last_on_lane: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.builder = GraphBuilder(GraphMeta(rank=self.rank, clock_base_ns=self.base_ns))

    def host(
        self,
        name: str,
        start: int,
        end: int,
        *,
        category: Category = Category.HOST,
        thread: int = 1,
        begin: int | None = None,
        **columns: int | str | Collective | Operator,
    ) -> int:
        """Add a host row; `begin` is when the thread reached it, where it then waited."""
        lane = self.builder.lane(LaneKind.HOST, 1, thread)
        after = []
        if lane in self.last_on_lane:
            row, before = self.last_on_lane[lane]
            after.append((row, EdgeKind.HOST_ORDER, (start if begin is None else begin) - before))
        row = self.builder.add(
            name, lane, start_ns=start, duration_ns=end - start, category=category, after=after,
            rank=self.rank, **columns,
        )  # fmt: skip
        self.last_on_lane[lane] = (row, end)
        return row

    def launch(self, start: int, end: int, *, step: int = NONE, parent: int = NONE) -> int:
        """Add a launch call."""
        return self.host("launch", start, end, category=Category.LAUNCH, step=step, parent=parent)

    def device(
        self,
        start: int,
        end: int,
        *,
        name: str = "kernel",
        stream: int = 7,
        launch: int | None = None,
        waits_for: int | None = None,
        category: Category = Category.KERNEL,
        **columns: int | str | Collective | Operator,
    ) -> int:
        """Add a device row behind the last of its stream."""
        lane = self.builder.lane(LaneKind.DEVICE, 0, stream)
        after = []
        if lane in self.last_on_lane:
            after.append((self.last_on_lane[lane][0], EdgeKind.STREAM_ORDER, 0))
        if launch is not None:
            after.append((launch, EdgeKind.LAUNCH, 0))
        if waits_for is not None:
            after.append((waits_for, EdgeKind.STREAM_WAIT, 0))
        row = self.builder.add(
            name, lane, start_ns=start, duration_ns=end - start, category=category, after=after,
            rank=self.rank, **columns,
        )  # fmt: skip
        self.last_on_lane[lane] = (row, end)
        return row

    def step(self, name: str, begin_row: int, end_row: int) -> int:
        """Mark a step."""
        return self.builder.step(name, begin_row, end_row)

    def done(self) -> Timeline:
        """Give the timeline as drawn."""
        return measured(self.builder.build())
