"""Train a small MLP under DDP on 4 CPU ranks (gloo, loopback) and record every rank.

python examples/train_ddp.py --out traces
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function

from etsim.converters.capture import CaptureOptions, capture

Batch = tuple[torch.Tensor, torch.Tensor]


def build_model(width: int) -> nn.Module:
    """Give three layers of one width on 64 features, telling 10 classes apart."""
    return nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, batches: list[Batch]) -> float:
    """Go over the batches once; give the last loss."""
    loss_value = 0.0
    for inputs, labels in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        loss_value = loss.item()
    return loss_value


def run_rank(rank: int, rendezvous: str, args: argparse.Namespace) -> None:
    """Be one rank: join the others, warm up, then train on data of its own and record it."""
    torch.manual_seed(rank)
    torch.set_num_threads(1)  # one thread a rank: the run is the same on any machine
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=args.ranks
    )
    model = DistributedDataParallel(build_model(args.width), bucket_cap_mb=args.bucket_mb)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [
        (torch.randn(args.batch_size, 64), torch.randint(10, (args.batch_size,)))
        for _ in range(args.batches)
    ]
    train_epoch(model, optimizer, batches)
    with capture(args.out, name="ddp", options=CaptureOptions(gzip=args.gzip)) as recording:
        distributed.barrier()  # starting a recorder takes each rank its own time
        recording.mark()
        for epoch in range(args.epochs):
            with record_function(f"epoch_{epoch}"):
                loss = train_epoch(model, optimizer, batches)
            recording.mark()
    wall_ms = recording.wall_ns / 1e6
    print(f"ddp: rank {rank}: {args.epochs} epochs in {wall_ms:.1f} ms, loss {loss:.3f}")
    distributed.destroy_process_group()


def parse_args() -> argparse.Namespace:
    """Read the knobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("traces"), help="where to write")
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batches", type=int, default=2, help="in an epoch")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--width", type=int, default=512, help="of the hidden layers")
    parser.add_argument("--bucket-mb", type=float, default=0.5, help="gradients sent at once")
    parser.add_argument("--gzip", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Start the ranks; they meet over a file, so no port is taken."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = str(Path(folder) / "rendezvous")
        spawn(run_rank, args=(rendezvous, args), nprocs=args.ranks)


if __name__ == "__main__":
    main()
