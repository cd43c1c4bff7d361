"""Reads how engines name their steps in a profile: what was prefilled, what was decoded.

    vLLM     execute_context_1(888)_generation_0(0)            requests(tokens)
             execute_context_1(888_788544)_generation_0(0)     requests(tokens_tokens squared)
             execute_8192_context_9(sq8155sk8430sqsq7475785sqsk7671310)_generation_37(sq37sk34489..)
             execute_new_2_cached_30                           requests only
    SGLang   step[EXTEND bs=15 toks=15360], step[DECODE bs=32], step[MIXED .. c_sq= .. g_sk= ..]
    ATOM     prefill[bs=4 tok=512 ctx=0], decode[bs=117/128 tok=117 ctx=90000]

Sums over the sequences of a phase: sq scheduled tokens, sk KV length, sqsq q², sqsk q·KV.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum


class StepPhase(StrEnum):
    """What a step does."""

    PREFILL = "prefill"
    DECODE = "decode"
    MIXED = "mixed"
    OTHER = "other"  # diffusion and the like


@dataclass(frozen=True, slots=True)
class Share:
    """What one phase has in a step; None where the name does not tell.

    Attributes:
        requests: sequences.
        tokens: tokens computed (sq).
        kv: KV length they end with (sk).
        squares: sum of q² (sqsq).
        products: sum of q·KV (sqsk).
    """

    requests: int = 0
    tokens: int | None = 0
    kv: int | None = 0
    squares: int | None = 0
    products: int | None = 0

    @property
    def pairs(self) -> float | None:
        """Query-key pairs under a causal mask: Σ q (KV - q/2)."""
        if self.products is not None and self.squares is not None:
            return self.products - self.squares / 2
        if self.squares is not None:  # no cached prefix known
            return self.squares / 2
        return None


@dataclass(frozen=True, slots=True)
class StepLabel:
    """A step's name, understood."""

    phase: StepPhase
    context: Share
    generation: Share


_CONTEXT = re.compile(
    r"execute_(?:(?P<total>\d+)_)?context_(?P<cr>\d+)\((?P<c>[^)]*)\)"
    r"_generation_(?P<gr>\d+)\((?P<g>[^)]*)\)"
)
_NEW = re.compile(r"execute_new_(?P<new>\d+)_cached_(?P<cached>\d+)")
_DIFFUSION = re.compile(r"execute_diffusion_\d+_\d+x\d+")
_SGLANG = re.compile(r"step\[(?P<kind>[A-Z_]+)(?P<rest>[^\]]*)\]")
_ATOM = re.compile(r"(?<!\w)(?P<kind>prefill|decode)\[(?P<rest>[^\]]*)\]")
_SUM = re.compile(r"(sqsq|sqsk|sq|sk)(\d+)")
_PAIR = re.compile(r"([a-z_]+)=(\d+)")
_NONE = Share()


def parse_step_name(name: str) -> StepLabel | None:
    """Give what a step's name tells, None where it is no engine's step."""
    for pattern, read in (
        (_CONTEXT, _read_context),
        (_NEW, _read_new),
        (_SGLANG, _read_sglang),
        (_ATOM, _read_atom),
    ):
        if match := pattern.search(name):
            return read(match)
    if _DIFFUSION.search(name):
        return StepLabel(StepPhase.OTHER, _NONE, _NONE)
    return None


def _label(context: Share, generation: Share) -> StepLabel:
    if context.requests and generation.requests:
        phase = StepPhase.MIXED
    elif context.requests:
        phase = StepPhase.PREFILL
    else:
        phase = StepPhase.DECODE
    return StepLabel(phase, context, generation)


def _read_context(match: re.Match[str]) -> StepLabel:
    context = _sums(int(match["cr"]), match["c"])
    return _label(context, _sums(int(match["gr"]), match["g"]))


def _sums(requests: int, told: str) -> Share:
    """Read `888`, `888_788544` or `sq..sk..sqsq..sqsk..`."""
    if not requests:
        return _NONE
    found = {key: int(value) for key, value in _SUM.findall(told)}
    if found:
        return Share(
            requests, found.get("sq"), found.get("sk"), found.get("sqsq"), found.get("sqsk")
        )
    numbers = [int(n) for n in re.findall(r"\d+", told)]
    tokens = numbers[0] if numbers else None
    squares = numbers[1] if len(numbers) > 1 else None
    return Share(requests, tokens, None, squares, None)


def _read_new(match: re.Match[str]) -> StepLabel:
    new, cached = int(match["new"]), int(match["cached"])
    context = Share(new, None, None, None, None) if new else _NONE
    generation = Share(cached, cached, None, None, None) if cached else _NONE
    return _label(context, generation)


def _read_sglang(match: re.Match[str]) -> StepLabel:
    told = {key: int(value) for key, value in _PAIR.findall(match["rest"])}
    context, generation = _prefixed(told, "c_"), _prefixed(told, "g_")
    kind, batch = match["kind"], told.get("bs", 0)
    if kind == "DECODE":
        known = generation or Share(0, batch, None, None, None)
        return StepLabel(StepPhase.DECODE, _NONE, replace(known, requests=batch))
    if kind == "MIXED":
        both = generation or Share(0, None, None, None, None)
        decodes = both.tokens or 0
        prefills = max(batch - decodes, 1) if batch else 1
        tokens = context.tokens if context else _less(told.get("toks"), decodes)
        known = context or Share(0, tokens, None, None, None)
        return StepLabel(
            StepPhase.MIXED, replace(known, requests=prefills), replace(both, requests=decodes)
        )
    known = context or Share(0, told.get("toks"), None, None, None)
    return StepLabel(StepPhase.PREFILL, replace(known, requests=batch), _NONE)


def _prefixed(told: dict[str, int], prefix: str) -> Share | None:
    keys = ("sq", "sk", "sqsq", "sqsk")
    values = [told.get(prefix + key) for key in keys]
    return None if all(v is None for v in values) else Share(0, *values)


def _less(total: int | None, part: int) -> int | None:
    return None if total is None else total - part


def _read_atom(match: re.Match[str]) -> StepLabel:
    told = {key: int(value) for key, value in _PAIR.findall(match["rest"])}
    batch, tokens, context = told.get("bs", 0), told.get("tok"), told.get("ctx")
    if match["kind"] == "decode":  # bs=117/128: 117 of 128 slots of the graph are used
        tokens = batch if tokens is None else tokens
        return StepLabel(StepPhase.DECODE, _NONE, Share(batch, tokens, context, None, None))
    whole = None if tokens is None or context is None else tokens + context
    return StepLabel(StepPhase.PREFILL, Share(batch, tokens, whole, None, None), _NONE)
