"""Options that `serve` and `plan` share, and what they come to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, TypeVar

import click

from ..models.errors import UsageError
from ..models.hardware import Hardware, LinkTier
from ..models.serving.card_files import load_card
from ..models.serving.group import PRECISIONS, Precision
from ..models.serving.model_card import ModelCard
from ..models.serving.setup import FormulaKind, MeasuredSteps, Setup
from ..models.serving.step_fit import read_fit
from ..models.specs import load
from ..models.units import Dimension, UnitError, parse

F = TypeVar("F", bound=Callable[..., None])
DEFAULT_MACHINE = "h100-sxm"
DEFAULT_NETWORK = 50e9  # bytes/s a device: one 400 Gbit/s card each, as H100 servers have
NETWORK_EFFICIENCY = 0.8  # share that a large transfer reaches

_OPTIONS = (
    click.option("--model", required=True, metavar="CARD|CONFIG",
                 help="A card by name, a card YAML or a Hugging Face config.json."),
    click.option("--hw", metavar="NAME|FILE",
                 help="The machine; see `etsim hw list`. Default: h100-sxm."),
    click.option("--prefill-hw", metavar="NAME|FILE", help="For prefill apart, if another."),
    click.option("--decode-hw", metavar="NAME|FILE", help="For decode apart, if another."),
    click.option("--dtype", type=click.Choice(sorted(PRECISIONS)),
                 help="Of weights and maths; default: as the model was published."),
    click.option("--kv-bytes", type=click.FloatRange(min=0.1), default=2.0, show_default=True,
                 help="Bytes of a KV element."),
    click.option("--form", type=click.Choice([kind.value for kind in FormulaKind]),
                 default=FormulaKind.ENGINE.value, show_default=True,
                 help="The formula where nothing was measured; `sum` is the published one."),
    click.option("--steps", type=click.Path(path_type=Path), metavar="FIT",
                 help="Steps measured in your own trace: `etsim phases TRACE -o FIT`."),
    click.option("--net", metavar="BANDWIDTH",
                 help="KV link of one device, e.g. 50GB/s; default: the machine's network."),
)  # fmt: skip


class SharedOptions(TypedDict):
    """The shared options as click hands them over."""

    model: str
    hw: str | None
    prefill_hw: str | None
    decode_hw: str | None
    dtype: str | None
    kv_bytes: float
    form: str
    steps: Path | None
    net: str | None


def serving_options(function: F) -> F:
    """Add the shared options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_setup(told: SharedOptions, prompt_tokens: float) -> Setup:
    """Read what the shared options name."""
    card = load_card(told["model"])
    hardware = load(told["hw"] or told["prefill_hw"] or told["decode_hw"] or DEFAULT_MACHINE)
    prefill = load(told["prefill_hw"]) if told["prefill_hw"] else hardware
    decode = load(told["decode_hw"]) if told["decode_hw"] else hardware
    notes: list[str] = []
    measured = _measured(told["steps"], hardware)
    precision = _precision(card, told["dtype"], notes)
    machines = {m.name: m for m in (hardware, prefill, decode)}
    if measured:
        machines[measured.hardware.name] = measured.hardware
    if len({m.device.architecture for m in machines.values()}) > 1:
        notes += [_host_note(m) for m in machines.values() if _host_note(m)]
    return Setup(
        card=card,
        precision=replace(precision, kv_bytes=told["kv_bytes"]),
        hardware=hardware,
        prefill_hardware=prefill,
        decode_hardware=decode,
        form=FormulaKind(told["form"]),
        prompt_tokens=prompt_tokens,
        network_bytes_per_s=_network(told["net"], (prefill, decode), notes),
        measured=measured,
        notes=tuple(notes),
    )


def _measured(path: Path | None, hardware: Hardware) -> MeasuredSteps | None:
    if path is None:
        return None
    fit = read_fit(path)
    return MeasuredSteps(fit, load(fit.hardware) if fit.hardware else hardware)


def _precision(card: ModelCard, told: str | None, notes: list[str]) -> Precision:
    if told is not None:
        return PRECISIONS[told]
    published = "bf16" if card.weight_bytes >= 2 else "fp8" if card.weight_bytes >= 1 else "w4a16"
    if published != "bf16":
        notes.append(
            f"{card.name} is published in {card.weight_bytes:g} bytes a weight: {published}"
        )
    return PRECISIONS[published]


def _host_note(hardware: Hardware) -> str:
    if "host.relative_speed" not in hardware.defaulted:
        return ""
    return f"{hardware.name} does not state its host's speed: taken as the reference host's"


def _network(told: str | None, machines: tuple[Hardware, ...], notes: list[str]) -> float:
    if told is not None:
        return quantity(told, Dimension.BYTE_RATE, "--net")
    stated = [link.bandwidth_gbps * 1e9 for m in machines if (link := m.link(LinkTier.NETWORK))]
    if len(stated) < len(machines):
        stated.append(DEFAULT_NETWORK)
        notes.append("no network in the spec: KV moves at 50 GB/s a device; --net says otherwise")
    return min(stated) * NETWORK_EFFICIENCY


def quantity(told: str, dimension: Dimension, option: str) -> float:
    """Read a quantity with its unit, like 1s, 20ms or 50GB/s.

    Raises:
        UsageError: it has no unit or another dimension's.
    """
    try:
        value = parse(told, dimension)
    except UnitError as error:
        raise UsageError(f"{option} {told}: {error}") from error
    if value <= 0:
        raise UsageError(f"{option} {told}: must be positive")
    return value


def seconds(told: str, option: str) -> float:
    """Read a duration."""
    return quantity(told, Dimension.DURATION, option)
