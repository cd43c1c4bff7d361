"""The sets of fitted constants, one a class of work and kind of unit, and what a spec overrides."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache

from ..errors import SpecError
from ..hardware import Hardware
from .constants import (
    AttentionConstants,
    C,
    DecodeConstants,
    MatmulConstants,
    RowConstants,
)
from .own_yaml import read_own_yaml


@dataclass(frozen=True, slots=True)
class ConstantSets:
    """All constants of the analytic model.

    Attributes:
        matmul: products on matrix units; `matmul_lanes` on plain lanes (fp32, fp64).
        convolution, convolution_lanes: the same for implicit products.
        streaming: one pass over tensors; `softmax`, `norm`: rows.
    """

    matmul: MatmulConstants = field(default_factory=MatmulConstants)
    matmul_lanes: MatmulConstants = field(default_factory=MatmulConstants)
    convolution: MatmulConstants = field(default_factory=MatmulConstants)
    convolution_lanes: MatmulConstants = field(default_factory=MatmulConstants)
    prefill: AttentionConstants = field(default_factory=AttentionConstants)
    decode: DecodeConstants = field(default_factory=DecodeConstants)
    streaming: RowConstants = field(default_factory=RowConstants)
    softmax: RowConstants = field(default_factory=RowConstants)
    norm: RowConstants = field(default_factory=RowConstants)


@lru_cache(maxsize=1)
def default_constants() -> ConstantSets:
    """Give the constants that come with etsim, fitted by benchmarks/accuracy/fit.py."""
    return with_values(
        ConstantSets(), read_own_yaml("constants.yaml")["constants"], "constants.yaml"
    )


def with_values(
    base: ConstantSets, values: Mapping[str, Mapping[str, float]], where: str
) -> ConstantSets:
    """Give the sets with some values replaced: `{"matmul": {"compute": 0.9}}`.

    Raises:
        SpecError: an unknown set or constant, or a value that is no positive number.
    """
    faults: dict[str, str] = {}
    known = {item.name for item in fields(base)}
    changed = {}
    for name, given in values.items():
        if name not in known:
            faults[name] = f"unknown set of constants; known: {', '.join(sorted(known))}"
            continue
        changed[name] = _replaced(getattr(base, name), given, name, faults)
    if faults:
        raise SpecError(where, faults)
    return replace(base, **changed)


def _replaced(constants: C, given: Mapping[str, float], name: str, faults: dict[str, str]) -> C:
    known = {item.name for item in fields(constants)}
    for key, value in given.items():
        if key not in known:
            faults[f"{name}.{key}"] = f"unknown constant; known: {', '.join(sorted(known))}"
        elif isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            faults[f"{name}.{key}"] = f"must be a number above 0, not {value!r}"
    good = {key: float(value) for key, value in given.items() if f"{name}.{key}" not in faults}
    return type(constants)(**{**asdict(constants), **good})


# what a spec's own `efficiency:` sets: key -> (sets, constant)
_OVERRIDES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "matmul.compute": (("matmul", "matmul_lanes"), "compute"),
    "matmul.memory": (("matmul", "matmul_lanes"), "memory"),
    "attention.compute": (("prefill",), "compute"),
    "attention.memory": (("prefill", "decode"), "memory"),
    "convolution.compute": (("convolution", "convolution_lanes"), "compute"),
}


@lru_cache(maxsize=8)
def _for_vendor(vendor: str) -> ConstantSets:
    """Give the default constants times what is known of a vendor."""
    sets = default_constants()
    factors = read_own_yaml("vendor_priors.yaml").get(vendor, {})
    values = {
        name: {key: factor * getattr(getattr(sets, name), key) for key, factor in given.items()}
        for name, given in factors.items()
    }
    return with_values(sets, values, "vendor_priors.yaml")


def constants_for(hardware: Hardware) -> ConstantSets:
    """Give the constants for a machine: defaults, its vendor's, its spec's, its calibration's.

    Raises:
        SpecError: the calibration names constants that do not exist.
    """
    sets = _for_vendor(hardware.device.vendor.lower())
    values: dict[str, dict[str, float]] = {}
    for key, (names, constant) in _OVERRIDES.items():
        stated = hardware.device.efficiency.get(key)
        if stated is not None and f"efficiency.{key}" not in hardware.defaulted:
            for name in names:
                values.setdefault(name, {})[constant] = stated
    sets = with_values(sets, values, hardware.name)
    calibrated = hardware.calibration.get("constants")
    if isinstance(calibrated, Mapping):
        sets = with_values(sets, calibrated, f"{hardware.name}: calibration.constants")
    return sets
