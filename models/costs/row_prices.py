"""The columns of a pricing while it is made: each pricer fills the rows of its own categories."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..graph import Bytes, ExecutionGraph, Int32s, Int64s, Provenance
from .bound import Bound
from .priced import Priced

Float64s = NDArray[np.float64]
Mask = NDArray[np.bool_]

FIXED = "fixed"  # the class of rows that nothing is uncertain about


@dataclass(slots=True)
class RowPrices:
    """Columns of shape (nodes,), as in `Priced`."""

    duration_ns: Int64s
    provenance: Bytes
    bound: Bytes
    spread: Float64s
    cost_class: Int32s
    classes: list[str] = field(default_factory=lambda: [FIXED])
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def as_measured(cls, graph: ExecutionGraph) -> "RowPrices":
        """Start with every row as recorded."""
        count = len(graph)
        return cls(
            duration_ns=graph.nodes.duration_ns.copy(),
            provenance=np.full(count, Provenance.MEASURED, dtype=np.uint8),
            bound=np.full(count, Bound.NONE, dtype=np.uint8),
            spread=np.zeros(count),
            cost_class=np.zeros(count, dtype=np.int32),
        )

    def class_index(self, name: str) -> int:
        """Give the index of a class of correlated errors, made on first use."""
        if name not in self.classes:
            self.classes.append(name)
        return self.classes.index(name)

    def put(
        self, rows: Int64s, duration_ns: Float64s, provenance: Provenance, bound: Bound
    ) -> None:
        """Set the durations of some rows, rounded to whole ns, with their origin and bound."""
        self.duration_ns[rows] = np.rint(duration_ns).astype(np.int64)
        self.provenance[rows] = provenance
        self.bound[rows] = bound

    def doubt(self, rows: Int64s, class_name: str, spread: float | Float64s) -> None:
        """Set the class and spread of some rows."""
        self.cost_class[rows] = self.class_index(class_name)
        self.spread[rows] = spread

    def finished(self, lag_ns: Int64s) -> Priced:
        """Give the pricing as a value."""
        return Priced(
            duration_ns=self.duration_ns,
            lag_ns=lag_ns,
            provenance=self.provenance,
            bound=self.bound,
            spread=self.spread,
            cost_class=self.cost_class,
            classes=tuple(self.classes),
            warnings=tuple(self.warnings),
        )
