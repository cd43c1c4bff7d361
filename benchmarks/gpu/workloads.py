"""The runs that are recorded: one function a run, giving the step to repeat."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from .models import CLASSES, FEATURES, Decoder, conv_net, mlp
from .sizes import Sizes

Step = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run happens and how large it is."""

    device: torch.device
    sizes: Sizes

    @property
    def dtype(self) -> torch.dtype:
        """Give bf16 where the device is made for it."""
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32


def mlp_training(place: Place) -> Step:
    """Train the MLP with SGD."""
    return _training(mlp(place.sizes), _vectors(place), place, torch.optim.SGD)


def ddp_training(place: Place) -> Step:
    """Train the MLP under DDP; `process_group` must be there."""
    model = DistributedDataParallel(mlp(place.sizes).to(place.device, place.dtype))
    return _training(model, _vectors(place), place, torch.optim.SGD)


def conv_training(place: Place) -> Step:
    """Train the convolution net with SGD."""
    side, batch = place.sizes.image, 4 * place.sizes.batch
    pictures = torch.randn(batch, 3, side, side, device=place.device, dtype=place.dtype)
    return _training(conv_net(place.sizes), pictures, place, torch.optim.SGD)


def decoder_training(place: Place) -> Step:
    """Train the language model with AdamW, as torch chooses its kernels."""
    sizes = place.sizes
    model = Decoder(sizes).to(place.device, place.dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    shape = (sizes.batch, sizes.length + 1)
    tokens = torch.randint(sizes.vocabulary, shape, device=place.device)

    def step() -> None:
        optimizer.zero_grad()
        logits = model(tokens[:, :-1]).flatten(0, 1)
        nn.functional.cross_entropy(logits, tokens[:, 1:].flatten()).backward()
        optimizer.step()

    return step


def prefill(place: Place) -> Step:
    """Read a batch of prompts."""
    sizes = place.sizes
    model = Decoder(sizes).to(place.device, place.dtype).eval()
    shape = (sizes.batch, sizes.length)
    tokens = torch.randint(sizes.vocabulary, shape, device=place.device)

    def step() -> torch.Tensor:
        with torch.no_grad():
            return model(tokens)

    return step


def decode(place: Place) -> Step:
    """Add a token to each sequence of a batch whose cache is half full."""
    sizes = place.sizes
    model = Decoder(sizes).to(place.device, place.dtype).eval()
    shape = (sizes.batch, sizes.heads, sizes.cache, sizes.width // sizes.heads)
    cache = [
        (
            torch.randn(shape, device=place.device, dtype=place.dtype),
            torch.randn(shape, device=place.device, dtype=place.dtype),
        )
        for _ in range(sizes.blocks)
    ]
    tokens = torch.randint(sizes.vocabulary, (sizes.batch, 1), device=place.device)
    at = torch.tensor([sizes.cache // 2], device=place.device)

    def step() -> None:
        with torch.no_grad():
            logits = model.decode(tokens, cache, at)
            tokens.copy_(logits.argmax(-1))
            at.add_(1).remainder_(sizes.cache)

    return step


def graphed(build: Callable[[Place], Step]) -> Callable[[Place], Step]:
    """Give the same run, each step one replay of a CUDA graph."""

    def build_graphed(place: Place) -> Step:
        step = build(place)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # a graph may be captured only of what has run before
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    return build_graphed


@contextmanager
def process_group(place: Place, folder: Path) -> Iterator[None]:
    """Be a group of one: NCCL on a GPU, gloo elsewhere."""
    backend = "nccl" if place.device.type == "cuda" else "gloo"
    meeting = f"file://{folder / 'meeting'}"
    distributed.init_process_group(backend, init_method=meeting, rank=0, world_size=1)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _vectors(place: Place) -> torch.Tensor:
    return torch.randn(place.sizes.mlp_batch, FEATURES, device=place.device, dtype=place.dtype)


def _training(
    model: nn.Module,
    inputs: torch.Tensor,
    place: Place,
    make_optimizer: type[torch.optim.SGD],
) -> Step:
    """Give a step that tells CLASSES classes apart."""
    model = model.to(place.device, place.dtype)
    optimizer = make_optimizer(model.parameters(), lr=0.01, momentum=0.9)
    labels = torch.randint(CLASSES, (len(inputs),), device=place.device)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()

    return step
