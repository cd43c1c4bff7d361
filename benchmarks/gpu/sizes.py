"""How large the recorded models are: as in earnest, or small enough for a smoke test."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Dimensions of all the models."""

    width: int
    blocks: int
    heads: int
    vocabulary: int
    batch: int
    length: int  # tokens of a training sequence or a prompt
    cache: int  # tokens that the key-value cache holds
    mlp_width: int
    mlp_batch: int
    image: int  # pixels a side
    channels: int  # of the convolution net's first stage


# A billion-parameter model's shapes at a third of its depth: kernels of a realistic size, files
# of a megabyte.
FULL = Sizes(
    width=2048,
    blocks=8,
    heads=16,
    vocabulary=32000,
    batch=8,
    length=512,
    cache=2048,
    mlp_width=4096,
    mlp_batch=4096,
    image=224,
    channels=64,
)

QUICK = Sizes(
    width=64,
    blocks=2,
    heads=4,
    vocabulary=128,
    batch=2,
    length=16,
    cache=32,
    mlp_width=64,
    mlp_batch=32,
    image=32,
    channels=8,
)
