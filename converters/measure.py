"""Measure a machine's operators with torch: what `etsim calibrate --measure` writes as CSV.

The only other file that imports torch is `capture.py`; both do so when called, not before.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from ..models.errors import MissingToolError

if TYPE_CHECKING:
    import torch

WARM_UPS = 3
REPEATS = 10
HEADER = ("name", "dtype", "shapes", "us")


@dataclass(frozen=True, slots=True)
class Probe:
    """One operator to measure: its dtype by torch's name and the shapes of its tensors."""

    name: str
    dtype: str
    shapes: tuple[tuple[int, ...], ...]

    @property
    def text(self) -> str:
        """Give the shapes as the table writes them."""
        return " ".join("x".join(map(str, shape)) for shape in self.shapes)


def probes(largest: int, dtypes: Sequence[str]) -> list[Probe]:
    """Give products, sums, softmaxes and norms of many sizes, up to `largest` a side."""
    sides = [side for side in (64, 128, 256, 512, 1024, 2048, 4096, 8192) if side <= largest]
    found = []
    for dtype in dtypes:
        for m in (16, *sides):
            for n, k in zip(sides, reversed(sides), strict=True):
                found.append(Probe("mm", dtype, ((m, k), (k, n))))
        found += [Probe("mm", dtype, ((side, side), (side, side))) for side in sides]
    for rows in sides:
        for width in (256, 1024, 4096):
            found += [Probe(name, "float32", ((rows, width),)) for name in ("softmax", "relu")]
            found.append(Probe("layer_norm", "float32", ((rows, width),)))
            found.append(Probe("add", "float32", ((rows, width), (rows, width))))
    return found


def measure(
    wanted: Sequence[Probe] | None = None, *, progress: Callable[[int, int], None] | None = None
) -> str:
    """Measure operators on the GPU, or on the CPU where there is none; gives the CSV.

    Args:
        wanted: what to measure; by default what suits the device.
        progress: is told how many of how many are done.

    Raises:
        MissingToolError: torch is not installed.
    """
    try:
        import torch  # noqa: PLC0415  # an optional extra
    except ImportError as error:
        raise MissingToolError("torch is not installed", remedy="pip install torch") from error
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    dtypes = ("bfloat16", "float32") if on_gpu else ("float32",)
    asked = probes(8192 if on_gpu else 1024, dtypes) if wanted is None else wanted
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEADER)
    for done, (probe, time_us) in enumerate(_times(asked, device), start=1):
        table.writerow((f"aten::{probe.name}", probe.dtype, probe.text, f"{time_us:.3f}"))
        if progress:
            progress(done, len(asked))
    return text.getvalue()


def _times(asked: Sequence[Probe], device: "torch.device") -> Iterator[tuple[Probe, float]]:
    for probe in asked:
        call = _call(probe, device)
        for _ in range(WARM_UPS):
            call()
        times = [_one_us(call, device) for _ in range(REPEATS)]
        yield probe, median(times)


def _call(probe: Probe, device: "torch.device") -> Callable[[], object]:
    torch = import_module("torch")
    dtype = getattr(torch, probe.dtype)
    tensors = [torch.randn(shape, device=device, dtype=torch.float32) for shape in probe.shapes]
    tensors = [tensor.to(dtype) for tensor in tensors]
    first = tensors[0]
    match probe.name:
        case "mm":
            return lambda: torch.mm(first, tensors[1])
        case "add":
            return lambda: torch.add(first, tensors[1])
        case "softmax":
            return lambda: torch.softmax(first, -1)
        case "layer_norm":
            return lambda: torch.nn.functional.layer_norm(first, first.shape[-1:])
        case _:
            return lambda: torch.relu(first)


def _one_us(call: Callable[[], object], device: "torch.device") -> float:
    torch = import_module("torch")
    if device.type == "cpu":
        began = perf_counter()
        call()
        return (perf_counter() - began) * 1e6
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(200_000)  # the launch hides behind it: the kernel alone is timed
    start.record()
    call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e3
