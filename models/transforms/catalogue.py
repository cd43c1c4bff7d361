"""All transforms: importing this file registers them."""

from . import ddp, kernels, resources
from .registry import Asked, Transform, parse_asked, transforms

__all__ = ["Asked", "Transform", "ddp", "kernels", "parse_asked", "resources", "transforms"]
