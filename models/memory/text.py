"""Memory plans as text, so that a graph's properties carry them: packed JSON.

`plan_to_text` and `plan_from_text` are a pair; a text that is none gives None, not an error: the
graph is good without it.
"""

import base64
import binascii
import json
import zlib
from dataclasses import fields
from typing import TypedDict

import numpy as np

from ..graph import Int64s
from .plan import Lives, MemoryPlan, Track

VERSION = 1
PLAN_PROPERTY = "memory_plan"
PEAK_PREFIX = "memory."


class _Document(TypedDict):
    version: int
    span: tuple[int, int]
    names: list[str]
    shapes: list[list[int]]
    notes: list[str]
    stage: int
    lives: dict[str, list[int]]
    track: dict[str, list[int]]


def plan_properties(plan: MemoryPlan) -> tuple[tuple[str, str], ...]:
    """Give a graph's properties: the peak, what it is for, and the plan itself."""
    peak = plan.peak()
    uses = ((f"{PEAK_PREFIX}{use}", str(size)) for use, size in peak.by_use.items())
    return (f"{PEAK_PREFIX}peak", str(peak.bytes)), *uses, (PLAN_PROPERTY, plan_to_text(plan))


def plan_to_text(plan: MemoryPlan) -> str:
    """Pack a plan."""
    document: _Document = {
        "version": VERSION,
        "span": (plan.start, plan.end),
        "names": list(plan.names),
        "shapes": [list(shape) for shape in plan.shapes],
        "notes": list(plan.notes),
        "stage": plan.stage,
        "lives": {f.name: getattr(plan.lives, f.name).tolist() for f in fields(Lives)},
        "track": {f.name: getattr(plan.track, f.name).tolist() for f in fields(Track)},
    }
    packed = zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 6)
    return base64.b85encode(packed).decode()


def plan_from_text(text: str) -> MemoryPlan | None:
    """Unpack a plan; None where the text is none of this version."""
    try:
        document: _Document = json.loads(zlib.decompress(base64.b85decode(text)))
        if document["version"] != VERSION:
            return None
        return MemoryPlan(
            lives=Lives(**{key: _column(v) for key, v in document["lives"].items()}),
            track=Track(**{key: _column(v) for key, v in document["track"].items()}),
            start=document["span"][0],
            end=document["span"][1],
            names=tuple(document["names"]),
            shapes=tuple(tuple(shape) for shape in document["shapes"]),
            notes=tuple(document["notes"]),
            stage=document["stage"],
        )
    except (ValueError, zlib.error, binascii.Error, KeyError, TypeError):
        return None


def _column(values: list[int]) -> Int64s:
    return np.array(values, dtype=np.int64)
