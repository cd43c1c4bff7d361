"""What a hardware spec may say: every key, and what kind of value it takes.

One flat table of dotted keys (`memory.bandwidth`, `links.node.latency`) is the whole grammar, so
reading, defaults, the search for the nearest known key and `etsim hw show` cannot drift apart.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from enum import Enum
from typing import TypeAlias

from .hardware import LinkTier
from .spec_defaults import COLLECTIVE_EFFICIENCY_DEFAULTS, EFFICIENCY_DEFAULTS
from .units import Dimension

DTYPES = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "fp6", "fp4", "int8", "int4")


class Plain(Enum):
    """The kinds of value that carry no unit."""

    KIND = "gpu, npu or cpu"
    TEXT = "text"
    TEXTS = "a list of texts"
    COUNT = "a whole number above 0"
    FACTOR = "a number above 0"
    SHARE = "a number above 0 and at most 1"
    FREE = "a mapping"


Measure: TypeAlias = Plain | Dimension

_LINK: dict[str, Measure] = {
    "name": Plain.TEXT,
    "bandwidth": Dimension.BYTE_RATE,
    "latency": Dimension.DURATION,
    "devices": Plain.COUNT,
    **{f"efficiency.{name}": Plain.SHARE for name in COLLECTIVE_EFFICIENCY_DEFAULTS},
}

KEYS: Mapping[str, Measure] = {
    "name": Plain.TEXT,
    "like": Plain.TEXT,
    "aliases": Plain.TEXTS,
    "recorded_as": Plain.TEXTS,
    "kind": Plain.KIND,
    "vendor": Plain.TEXT,
    "architecture": Plain.TEXT,
    "source": Plain.TEXT,
    **{f"peak.{dtype}": Dimension.OPERATION_RATE for dtype in DTYPES},
    **{f"vector.{dtype}": Dimension.OPERATION_RATE for dtype in DTYPES},
    "memory.size": Dimension.SIZE,
    "memory.bandwidth": Dimension.BYTE_RATE,
    "memory.type": Plain.TEXT,
    "l2": Dimension.SIZE,
    "cores": Plain.COUNT,
    "fp32_lanes": Plain.FACTOR,
    "clock": Dimension.FREQUENCY,
    "power": Dimension.POWER,
    "process": Dimension.LENGTH,
    "launch_latency": Dimension.DURATION,
    "kernel_gap": Dimension.DURATION,
    **{f"efficiency.{name}": Plain.SHARE for name in EFFICIENCY_DEFAULTS},
    **{f"links.{tier}.{key}": measure for tier in LinkTier for key, measure in _LINK.items()},
    "host.relative_speed": Plain.FACTOR,
    "host.launch_cost": Dimension.DURATION,
    "host.cores": Plain.COUNT,
    "price": Dimension.PRICE,
    "calibration": Plain.FREE,
}

# What must stand in a file, besides one of `peak.fp32` and `vector.fp32`.
REQUIRED = (
    "name",
    "kind",
    "vendor",
    "architecture",
    "source",
    "memory.size",
    "memory.bandwidth",
    "cores",
    "clock",
)

# Every prefix under which keys stand: `peak`, `links`, `links.node`, `links.node.efficiency` ...
TABLES = frozenset(
    ".".join(parts[:depth])
    for key in KEYS
    for parts in [key.split(".")]
    for depth in range(1, len(parts))
)

# Words of datasheets that no likeness of letters would lead to the right key.
_SYNONYMS = {
    "tdp": "power",
    "sms": "cores",
    "compute_units": "cores",
    "vram": "memory.size",
    "capacity": "size",
    "speed": "bandwidth",
    "nvlink": "links.node",
    "pcie": "links.host",
    "flops": "peak",
    "tflops": "peak",
    "cost": "price",
    "node": "process",
    "gpu": "name",
    "manufacturer": "vendor",
}


def complaint(key: str) -> str:
    """Say what is wrong with an unknown key, with the nearest known one."""
    table, _, last = key.rpartition(".")
    if table in {"peak", "vector"}:
        hint = _hint(last, DTYPES) or f"; known: {', '.join(DTYPES)}"
        return f"unknown dtype '{last}'{hint}"
    siblings = _children(table)
    hint = _hint(last, siblings) or _hint(key, [*KEYS, *TABLES])
    return f"unknown key{hint}" if hint else f"unknown key; known here: {', '.join(siblings)}"


def _children(table: str) -> list[str]:
    """List what may stand directly under a table, '' for the top."""
    start = f"{table}." if table else ""
    below = [key.removeprefix(start) for key in KEYS if key.startswith(start)]
    if table in {"efficiency", *(f"links.{tier}.efficiency" for tier in LinkTier)}:
        return below  # their names hold dots themselves: `matmul.compute`
    return list(dict.fromkeys(key.partition(".")[0] for key in below))


def _hint(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Give '; did you mean ...?' where a known word is near, else nothing."""
    synonym = _SYNONYMS.get(word.lower(), "")
    near = [synonym] if synonym in known else get_close_matches(word.lower(), known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
