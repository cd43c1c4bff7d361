"""All transforms: importing this file registers them."""

from . import (
    cuda_graphs,
    data_loader,
    ddp,
    kernels,
    optimizer,
    precision,
    quantise,
    resources,
)
from .registry import Asked, Transform, parse_asked, transforms

FILES = (cuda_graphs, data_loader, ddp, kernels, optimizer, precision, quantise, resources)

__all__ = ["FILES", "Asked", "Transform", "parse_asked", "transforms"]
