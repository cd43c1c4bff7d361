"""The values that tell what an operator does: its class, unit, FLOPs, bytes and dimensions."""

from dataclasses import dataclass
from enum import StrEnum


class WorkClass(StrEnum):
    """What kind of kernel does the work; constants and residuals are kept per class."""

    MATMUL = "matmul"
    CONVOLUTION = "convolution"
    PREFILL = "attention_prefill"
    DECODE = "attention_decode"
    ELEMENTWISE = "elementwise"
    SOFTMAX = "softmax"
    NORMALISATION = "normalisation"
    REDUCTION = "reduction"
    EMBEDDING = "embedding"
    COPY = "copy"
    OPTIMISER = "optimiser"
    LOSS = "loss"
    RANDOM = "random"
    SORT = "sort"
    COLLECTIVE = "collective"
    OTHER = "other"  # by the bytes of its tensors only
    FREE = "free"  # views and bookkeeping: no work on a device


class Unit(StrEnum):
    """Which part of a device does the work."""

    MATRIX = "matrix"
    VECTOR = "vector"
    MEMORY = "memory"
    MIXED = "mixed"  # matrix units or memory: which of them, shapes would tell
    LINK = "link"  # between host and device
    HOST = "host"  # through the host's own memory first: a copy of pageable memory


@dataclass(frozen=True, slots=True)
class Gemm:
    """`batch` products (m, k) x (k, n); a convolution as an implicit product.

    Attributes:
        filter_taps: positions of a convolution's filter, 1 for a plain product.
    """

    batch: int
    m: int
    n: int
    k: int
    filter_taps: int = 1


@dataclass(frozen=True, slots=True)
class Attention:
    """Scaled dot-product attention: `batch` sequences of `queries` against `keys`."""

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    head_dim: int
    value_dim: int
    causal: bool = False
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A row-wise operator: `rows` rows of `columns` elements each."""

    rows: int
    columns: int


Geometry = Gemm | Attention | Rows | None


@dataclass(frozen=True, slots=True)
class Work:
    """What an operator does, whatever does it.

    `flops` counts as torch.utils.flop_counter does (no discount for a causal mask); the
    geometry carries what a device model needs beyond the sums. `placed` counts elements whose
    places are computed one by one, because the tensors do not lie in memory alike.
    """

    work_class: WorkClass
    unit: Unit
    dtype: str
    flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    geometry: Geometry = None
    placed: int = 0

    @property
    def bytes_moved(self) -> int:
        """Give bytes read and written."""
        return self.bytes_read + self.bytes_written


FREE_WORK = Work(WorkClass.FREE, Unit.MEMORY, "fp32")
