"""The models that are recorded: an MLP, a decoder with a key-value cache, a residual conv net."""

import torch
from torch import nn

from .sizes import Sizes

CLASSES = 1000
FEATURES = 1024


def mlp(sizes: Sizes) -> nn.Module:
    """Give four layers of one width."""
    width = sizes.mlp_width
    hidden = [layer for _ in range(3) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), *hidden, nn.Linear(width, CLASSES))


class Block(nn.Module):
    """Causal attention and a feed-forward part, each behind a norm and with a way around it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.heads = sizes.heads
        self.norm_attention = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width, bias=False)
        self.merge_heads = nn.Linear(width, width, bias=False)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def split(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Give query, key and value as (batch, heads, tokens, head width)."""
        batch, tokens, _ = x.shape
        parts = self.projections(self.norm_attention(x)).chunk(3, dim=-1)
        return [part.view(batch, tokens, self.heads, -1).transpose(1, 2) for part in parts]

    def finish(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """Merge the heads and go through the feed-forward part."""
        x = x + self.merge_heads(attended.transpose(1, 2).flatten(-2))
        return x + self.down(nn.functional.gelu(self.up(self.norm_feed_forward(x))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Let each token see those before it."""
        query, key, value = self.split(x)
        attended = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.finish(x, attended)


class Decoder(nn.Module):
    """A language model; `decode` adds one token a sequence to a cache of fixed length."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.width)
        self.stack = [Block(sizes) for _ in range(sizes.blocks)]
        self.blocks = nn.ModuleList(self.stack)  # so that torch finds their weights
        self.norm = nn.LayerNorm(sizes.width)
        self.head = nn.Linear(sizes.width, sizes.vocabulary, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Give the logits of all tokens."""
        x = self.embedding(tokens)
        for block in self.stack:
            x = block(x)
        return self.head(self.norm(x))

    def decode(
        self, tokens: torch.Tensor, cache: list[tuple[torch.Tensor, torch.Tensor]], at: torch.Tensor
    ) -> torch.Tensor:
        """Give the logits after one token a sequence, (batch, 1), put into the cache at `at`.

        Every shape is fixed and the position is a tensor, so that a CUDA graph can replay it.
        """
        x = self.embedding(tokens)
        seen = torch.arange(cache[0][0].shape[2], device=tokens.device) <= at
        for block, (keys, values) in zip(self.stack, cache, strict=True):
            query, key, value = block.split(x)
            keys.index_copy_(2, at, key)
            values.index_copy_(2, at, value)
            attended = nn.functional.scaled_dot_product_attention(
                query, keys, values, attn_mask=seen[None, None, None, :]
            )
            x = block.finish(x, attended)
        return self.head(self.norm(x))


class Residual(nn.Module):
    """Two convolutions with batch norm and a way around them; halves the picture if asked."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.norm_first = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_second = nn.BatchNorm2d(channels)
        self.around = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give the stage's features."""
        y = nn.functional.relu(self.norm_first(self.first(x)))
        return nn.functional.relu(self.norm_second(self.second(y)) + self.around(x))


def conv_net(sizes: Sizes) -> nn.Module:
    """Give a small residual net of four stages."""
    widths = [sizes.channels * 2**stage for stage in range(4)]
    stages = [
        Residual(wide_in, wide, stride=2)
        for wide_in, wide in zip([widths[0], *widths[:-1]], widths, strict=True)
    ]
    stem = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], CLASSES))
    return nn.Sequential(stem, nn.BatchNorm2d(widths[0]), nn.ReLU(), *stages, *head)
