"""All transforms: importing this file registers them."""

from . import (
    accumulate,
    checkpoint,
    compress,
    cuda_graphs,
    data_loader,
    ddp,
    kernels,
    layers,
    optimizer,
    pipeline,
    precision,
    quantise,
    ranks,
    rebucket,
    resources,
    sharding,
    sizes,
    tensor_parallel,
)
from .registry import Asked, Transform, parse_asked, transforms

FILES = (
    accumulate, checkpoint, compress, cuda_graphs, data_loader, ddp, kernels, layers, optimizer,
    pipeline, precision, quantise, ranks, rebucket, resources, sharding, sizes, tensor_parallel,
)  # fmt: skip

__all__ = ["FILES", "Asked", "Transform", "parse_asked", "transforms"]
