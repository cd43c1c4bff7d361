"""Record pairs of runs, without and with one change each, for `whatif_truth.py` and the tests.

    python benchmarks/whatif_runs.py OUT --rounds 3

Every round records all variants one after the other, so that a busy spell of the machine hits all
of them. Files are OUT/<variant>.<round>.et.json and so on; data-parallel ones hold two ranks.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import gelu, scaled_dot_product_attention
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function
from torch.utils.checkpoint import checkpoint

from etsim.converters.capture import capture

WIDTH, HEADS, CLASSES = 256, 4, 10  # so wide that work, not dispatch, takes the time
NARROW, NARROW_LAYERS = 32, 30
WARM_STEPS = 2


@dataclass(frozen=True)
class Variant:
    """One way to train the small transformer, or (`deep`) many narrow layers."""

    name: str
    batch: int = 4
    length: int = 32
    layers: int = 2
    micros: int = 1
    fused: bool = False
    checkpointed: bool = False
    bucket_mb: float | None = None
    hook: bool = False
    deep: bool = False


BASE = Variant("base")
ALONE = (
    BASE,
    replace(BASE, name="batch", batch=16),
    replace(BASE, name="length", length=128),
    replace(BASE, name="layers", layers=6),
    replace(BASE, name="accumulate", micros=3),
    replace(BASE, name="fused", fused=True),
    replace(BASE, name="checkpoint", checkpointed=True),
)
TOGETHER = (
    replace(BASE, name="ddp"),
    replace(BASE, name="deep", deep=True),
    replace(BASE, name="buckets", deep=True, bucket_mb=0.0001),  # a message a gradient
    replace(BASE, name="hook", hook=True),
)


class Block(nn.Module):
    """A transformer's layer: attention and a feed-forward network, pre-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.attention_in = nn.Linear(WIDTH, 3 * WIDTH)
        self.attention_out = nn.Linear(WIDTH, WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add attention, then the feed-forward network."""
        batch, length, _ = x.shape
        heads = self.attention_in(self.norm(x)).view(batch, length, 3, HEADS, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + self.attention_out(mixed)
        down: torch.Tensor = self.down(gelu(self.up(x)))
        return x + down


class Model(nn.Module):
    """Layers of one width and a head."""

    def __init__(self, layers: int, *, checkpointed: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        self.head = nn.Linear(WIDTH, CLASSES)
        self.checkpointed = checkpointed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Go through the layers."""
        for number, block in enumerate(self.blocks):
            with record_function(f"layer_{number}"):  # what etsim knows a layer by
                x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        logits: torch.Tensor = self.head(x)
        return logits


def narrow() -> nn.Module:
    """Give many small layers: many small gradients, as far as buckets go."""
    layers = [nn.Linear(WIDTH if not k else NARROW, NARROW) for k in range(NARROW_LAYERS)]
    return nn.Sequential(*layers)


def trainer(variant: Variant) -> Callable[[], None]:
    """Give a function that does one training step."""
    torch.manual_seed(0)
    plain = narrow() if variant.deep else Model(variant.layers, checkpointed=variant.checkpointed)
    model = plain
    if distributed.is_initialized():
        model = DistributedDataParallel(plain, bucket_cap_mb=variant.bucket_mb)
        if variant.hook:
            model.register_comm_hook(None, fp16_compress_hook)
    optimizer = torch.optim.AdamW(model.parameters(), fused=variant.fused, foreach=False)
    data = torch.randn(variant.batch, variant.length, WIDTH)

    def step() -> None:
        for _ in range(variant.micros):
            model(data).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def record(out: Path, variant: Variant, round_: int, steps: int) -> None:
    """Train, and record some steps: with wall times, and of one process its CPU time as well."""
    step = trainer(variant)
    for _ in range(WARM_STEPS):
        step()
    with capture(out, name=f"{variant.name}.{round_}") as recording:
        if distributed.is_initialized():
            distributed.barrier()  # starting a recorder takes each rank its own time
        recording.mark()
        marks_ns = [time.process_time_ns()]
        for number in range(steps):
            with record_function(f"step_{number}"):
                step()
            recording.mark()
            marks_ns.append(time.process_time_ns())
    if not distributed.is_initialized():
        cpu = {"steps_ns": [end - begin for begin, end in pairwise(marks_ns)]}
        (out / f"{variant.name}.{round_}.cpu.json").write_text(json.dumps(cpu))


def run_rank(rank: int, rendezvous: str, out: Path, rounds: range, steps: int) -> None:
    """Be one of two ranks."""
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2
    )
    for round_ in rounds:
        for variant in TOGETHER:
            record(out, variant, round_, steps)
    distributed.destroy_process_group()


def main() -> None:
    """Record all variants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rounds = range(args.first, args.first + args.rounds)
    for round_ in rounds:
        for variant in ALONE:
            record(args.out, variant, round_, args.steps)
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = str(Path(folder) / "rendezvous")
        spawn(run_rank, args=(rendezvous, args.out, rounds, args.steps), nprocs=2)


if __name__ == "__main__":
    main()
