"""Train a small transformer on the CPU; a profiler schedule picks and marks the steps.

python examples/train_transformer.py --out traces
"""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.profiler import schedule

from etsim.converters.capture import CaptureOptions, capture

VOCABULARY = 512


class Block(nn.Module):
    """Attention and a feed-forward part, each behind a norm and with a way around it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width, bias=False)
        self.merge_heads = nn.Linear(width, width, bias=False)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
        )

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Let each token look at those before it."""
        batch, length, _ = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2) for part in x.chunk(3, dim=-1)
        )
        heads = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return heads.transpose(1, 2).flatten(-2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give tokens of the same shape, (batch, length, width)."""
        x = x + self.merge_heads(self.attend(self.projections(self.norm_attention(x))))
        return x + self.feed_forward(self.norm_feed_forward(x))


def build_model(width: int, heads: int, blocks: int) -> nn.Module:
    """Give a model that tells the next token from those before it."""
    return nn.Sequential(
        nn.Embedding(VOCABULARY, width),
        *(Block(width, heads) for _ in range(blocks)),
        nn.LayerNorm(width),
        nn.Linear(width, VOCABULARY, bias=False),
    )


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, tokens: torch.Tensor) -> float:
    """Learn from one batch; give its loss."""
    optimizer.zero_grad()
    logits = model(tokens[:, :-1])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    return loss.item()


def parse_args() -> argparse.Namespace:
    """Read the knobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("traces"), help="where to write")
    parser.add_argument("--steps", type=int, default=3, help="to record")
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128, help="tokens in a sequence")
    parser.add_argument("--gzip", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Let a step pass, let the profiler warm up in the next, then record the others."""
    args = parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # one thread: the run is the same on any machine
    model = build_model(args.width, args.heads, args.blocks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    tokens = torch.randint(VOCABULARY, (args.batch_size, args.length + 1))
    steps = schedule(wait=1, warmup=1, active=args.steps, repeat=1)
    options = CaptureOptions(schedule=steps, gzip=args.gzip)
    with capture(args.out, name="transformer", options=options) as recording:
        for _ in range(2 + args.steps):
            loss = train_step(model, optimizer, tokens)
            recording.step()
    print(f"transformer: {args.steps} steps in {recording.wall_ns / 1e6:.1f} ms, loss {loss:.3f}")


if __name__ == "__main__":
    main()
