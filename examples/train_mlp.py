"""Train a small MLP on the CPU and record it for etsim.

python examples/train_mlp.py --out traces
"""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.profiler import record_function

from etsim.converters.capture import CaptureOptions, capture


def build_model(width: int) -> nn.Module:
    """Give three layers of one width on 64 features, telling 10 classes apart."""
    return nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: list[tuple[torch.Tensor, torch.Tensor]],
) -> float:
    """Go over the batches once; give the last loss."""
    loss_value = 0.0
    for inputs, labels in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        loss_value = loss.item()
    return loss_value


def parse_args() -> argparse.Namespace:
    """Read the knobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("traces"), help="where to write")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batches", type=int, default=3, help="in an epoch")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--width", type=int, default=512, help="of the hidden layers")
    parser.add_argument("--gzip", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Warm up for an epoch, then record the others."""
    args = parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # one thread: the run is the same on any machine
    model = build_model(args.width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batches = [
        (torch.randn(args.batch_size, 64), torch.randint(10, (args.batch_size,)))
        for _ in range(args.batches)
    ]
    train_epoch(model, optimizer, batches)
    with capture(args.out, name="mlp", options=CaptureOptions(gzip=args.gzip)) as recording:
        recording.mark()
        for epoch in range(args.epochs):
            with record_function(f"epoch_{epoch}"):
                loss = train_epoch(model, optimizer, batches)
            recording.mark()
    print(f"mlp: {args.epochs} epochs in {recording.wall_ns / 1e6:.1f} ms, loss {loss:.3f}")


if __name__ == "__main__":
    main()
