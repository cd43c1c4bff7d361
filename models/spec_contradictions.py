"""Find figures of one spec that cannot all be true: most are a slipped prefix or a sparse peak."""

from collections.abc import Iterator

from .spec_figures import FMA_OPERATIONS, Figures

# Datasheets round, and their peaks use a boost clock that may differ from `clock:` by some %.
_PRODUCT_TOLERANCE = 0.30

# A matrix unit is never slower at a narrower type (int8 is left out: some devices have cut it).
_NARROWER_IS_FASTER = (("fp16", "fp8"), ("bf16", "fp8"), ("fp8", "fp6"), ("fp8", "fp4"))


def contradictions(figures: Figures) -> Iterator[tuple[str, str]]:
    """Find contradictions between the figures given, as (key, fault)."""
    numbers = figures.numbers
    for dtype, vector_rate in figures.under("vector").items():
        if numbers.get(f"peak.{dtype}", vector_rate) < vector_rate:
            yield f"peak.{dtype}", f"is below vector.{dtype}, but stands for the faster of both"
    for wide, narrow in _NARROWER_IS_FASTER:
        if _below(figures, f"peak.{narrow}", f"peak.{wide}"):
            yield f"peak.{narrow}", f"is below peak.{wide}, though its numbers are narrower"
    if _below(figures, "memory.size", "l2"):
        yield "l2", "is larger than memory.size"
    if _below(figures, "memory.bandwidth", "links.node.bandwidth"):
        yield "links.node.bandwidth", "is above memory.bandwidth, which feeds it"
    if figures.texts.get("kind") == "cpu" and figures.under("links.host"):
        yield "links.host", "a CPU has no link to its host"
    yield from _product(figures)


def _below(figures: Figures, low: str, high: str) -> bool:
    """Tell whether both are given and the first is below the second."""
    numbers = figures.numbers
    return low in numbers and high in numbers and numbers[low] < numbers[high]


def _product(figures: Figures) -> Iterator[tuple[str, str]]:
    """Check vector.fp32 = cores x fp32_lanes x 2 x clock, where all are given."""
    numbers = figures.numbers
    parts = ("cores", "fp32_lanes", "clock", "vector.fp32")
    if any(part not in numbers for part in parts):
        return
    product = numbers["cores"] * numbers["fp32_lanes"] * FMA_OPERATIONS * numbers["clock"]
    if abs(numbers["vector.fp32"] / product - 1) > _PRODUCT_TOLERANCE:
        yield (
            "vector.fp32",
            f"contradicts cores x fp32_lanes x 2 x clock = {product / 1e12:.1f} TFLOP/s",
        )
