"""All transforms: importing this file registers them."""

from . import (
    accumulate,
    checkpoint,
    cuda_graphs,
    data_loader,
    ddp,
    kernels,
    layers,
    optimizer,
    precision,
    quantise,
    ranks,
    rebucket,
    resources,
    sizes,
)
from .registry import Asked, Transform, parse_asked, transforms

FILES = (
    accumulate, checkpoint, cuda_graphs, data_loader, ddp, kernels, layers, optimizer, precision,
    quantise, ranks, rebucket, resources, sizes,
)  # fmt: skip

__all__ = ["FILES", "Asked", "Transform", "parse_asked", "transforms"]
