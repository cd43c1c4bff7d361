"""Time single kernels at about 200 sizes, with operands in memory (cold) and in cache (hot)."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn

COLD_TIMES = 20
HOT_LAUNCHES = 20
FLUSH_BYTES = 512 * 2**20  # more than any device's last cache
HEAD_START_CYCLES = 4_000_000  # about 2 ms: long enough to queue all launches behind it

HEADER = ("op", "dtype", "dims", "cold_us", "hot_us")

# What `dims` says of each operation.
DIMS = {
    "matmul": "m x n x k",
    "softmax": "rows x columns",
    "layernorm": "rows x columns",
    "add": "elements",
    "gelu": "elements",
    "attention": "batch x heads x queries x keys x head width; causal where queries = keys",
}


@dataclass(frozen=True, slots=True)
class Kernel:
    """An operation at a size."""

    op: str
    dtype: torch.dtype
    dims: tuple[int, ...]

    def prepare(self, device: torch.device) -> Callable[[], object]:
        """Allocate the operands; give the call to be timed."""
        match self.op, self.dims:
            case "matmul", (m, n, k):
                return _matmul(self._random(device, m, k), self._random(device, n, k))
            case "softmax", (rows, columns):
                x = self._random(device, rows, columns)
                return lambda: torch.softmax(x, -1)
            case "layernorm", (rows, columns):
                return _layernorm(self._random(device, rows, columns))
            case "add", (elements,):
                a, b = self._random(device, elements), self._random(device, elements)
                return lambda: a + b
            case "gelu", (elements,):
                x = self._random(device, elements)
                return lambda: nn.functional.gelu(x)
            case "attention", (batch, heads, queries, keys, width):
                return _attention(
                    self._random(device, batch, heads, queries, width),
                    self._random(device, batch, heads, keys, width),
                )
        raise ValueError(f"{self.op} does not take {self.dims}")

    def _random(self, device: torch.device, *shape: int) -> torch.Tensor:
        return torch.randn(shape, device=device, dtype=self.dtype)


def _matmul(a: torch.Tensor, b: torch.Tensor) -> Callable[[], object]:
    return lambda: a @ b.T


def _layernorm(x: torch.Tensor) -> Callable[[], object]:
    scale, shift = torch.ones_like(x[0]), torch.zeros_like(x[0])
    return lambda: nn.functional.layer_norm(x, x.shape[1:], scale, shift)


def _attention(query: torch.Tensor, key: torch.Tensor) -> Callable[[], object]:
    causal = query.shape == key.shape
    value = torch.randn_like(key)
    return lambda: nn.functional.scaled_dot_product_attention(query, key, value, is_causal=causal)


def kernels(*, quick: bool) -> Iterator[Kernel]:
    """Give what is timed: shapes of language models, and sizes of all magnitudes."""
    seen = set()
    for kernel in _all_kernels():
        if not quick or kernel.op not in seen:  # the first of an operation is small
            seen.add(kernel.op)
            yield kernel


def _all_kernels() -> Iterator[Kernel]:
    half, single = torch.bfloat16, torch.float32
    widths = ((1024, 1024), (4096, 4096), (12288, 4096), (4096, 14336), (32000, 4096))
    for m, (n, k) in itertools.product((1, 8, 32, 128, 512, 1024, 2048, 4096, 8192), widths):
        yield Kernel("matmul", half, (m, n, k))
    for side in (256, 512, 768, 1024, 1536, 2048, 3000, 4096, 6144, 8192):
        yield Kernel("matmul", half, (side, side, side))
        yield Kernel("matmul", single, (side, side, side))
    for op, dtype in itertools.product(("softmax", "layernorm"), (half, single)):
        for rows, columns in itertools.product((32, 1024, 8192, 65536), (512, 1024, 4096, 8192)):
            yield Kernel(op, dtype, (rows, columns))
    for op, dtype in itertools.product(("add", "gelu"), (half, single)):
        for power in range(12, 30, 2):
            yield Kernel(op, dtype, (2**power,))
    for batch, tokens in itertools.product((1, 4, 16), (128, 512, 1024, 2048, 4096)):
        yield Kernel("attention", half, (batch, 16, tokens, tokens, 128))
    for batch, keys in itertools.product((1, 4, 16, 64), (128, 512, 2048, 8192)):
        yield Kernel("attention", half, (batch, 16, 1, keys, 128))


def measure(kernel: Kernel, device: torch.device) -> tuple[float, float]:
    """Give the median time of a launch with a cold cache, and that of launches in a row, in µs."""
    call = kernel.prepare(device)
    for _ in range(3):
        call()
    return _on_gpu(call) if device.type == "cuda" else _on_cpu(call)


def _on_gpu(call: Callable[[], object]) -> tuple[float, float]:
    flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device="cuda")
    cold = []
    for _ in range(COLD_TIMES):
        flush.zero_()  # takes longer than it takes to queue what is timed behind it
        cold.append(_between_events(call, 1))
    torch.cuda._sleep(HEAD_START_CYCLES)
    return median(cold), _between_events(call, HOT_LAUNCHES)


def _between_events(call: Callable[[], object], launches: int) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(launches):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1000 / launches


def _on_cpu(call: Callable[[], object]) -> tuple[float, float]:
    times_us = []
    for _ in range(5):
        begin_ns = time.perf_counter_ns()
        call()
        times_us.append((time.perf_counter_ns() - begin_ns) / 1000)
    return times_us[0], median(times_us)
