"""Kernels judged by name alone: which class a kernel without an operator belongs to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from ..errors import InputError, SpecError
from .own_yaml import read_own_yaml
from .tensors import ITEM_BYTES
from .work_values import WorkClass

_NO_DTYPE = "fp32"
_KEYS = {"rules", "dtypes", "reduced_fp32", "few_rows"}


@dataclass(frozen=True, slots=True)
class KernelRule:
    """A pattern and what it tells."""

    pattern: re.Pattern[str]
    meaning: str


@dataclass(frozen=True, slots=True)
class KernelRules:
    """The rules in the order in which they are tried."""

    classes: tuple[KernelRule, ...]
    dtypes: tuple[KernelRule, ...]
    reduced_fp32: re.Pattern[str]
    few_rows: re.Pattern[str]

    def work_class(self, kernel: str) -> WorkClass | None:
        """Give the class of a kernel's name, None where no rule knows it."""
        found = _first(self.classes, kernel)
        return WorkClass(found) if found else None

    def dtype(self, kernel: str) -> str:
        """Give the dtype that a kernel's name tells, fp32 where it tells none."""
        return _first(self.dtypes, kernel) or _NO_DTYPE

    def has_few_rows(self, kernel: str) -> bool:
        """Tell whether a product is one for few rows, which memory binds."""
        return self.few_rows.search(kernel) is not None

    def runs_reduced(self, kernel: str) -> bool:
        """Tell whether an fp32 product ran as TF32 on matrix units."""
        return self.reduced_fp32.search(kernel) is not None


def _first(rules: tuple[KernelRule, ...], name: str) -> str:
    return next((rule.meaning for rule in rules if rule.pattern.search(name)), "")


def read_rules(text: str, where: str | Path) -> KernelRules:
    """Read rules from YAML.

    Raises:
        SpecError: every fault of the file at once, each with its place.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(where, {"(file)": f"not YAML: {' '.join(str(error).split())}"}) from error
    return _checked(data, where)


def _checked(data: object, where: str | Path) -> KernelRules:
    faults: dict[str, str] = {}
    if not isinstance(data, Mapping):
        raise SpecError(where, {"(file)": "must hold the key `rules`"})
    known = {*map(str, WorkClass)}
    classes = _rules_of(data, "rules", "class", known, faults)
    dtypes = _rules_of(data, "dtypes", "dtype", set(ITEM_BYTES), faults)
    reduced = _pattern(str(data.get("reduced_fp32", "(?!)")), "reduced_fp32", faults)
    few_rows = _pattern(str(data.get("few_rows", "(?!)")), "few_rows", faults)
    for key in sorted(set(data) - _KEYS):
        faults[str(key)] = f"unknown key; known: {', '.join(sorted(_KEYS))}"
    if faults:
        raise SpecError(where, faults)
    return KernelRules(classes, dtypes, reduced, few_rows)


def _rules_of(
    data: Mapping[str, object], section: str, meaning: str, known: set[str], faults: dict[str, str]
) -> tuple[KernelRule, ...]:
    entries = data.get(section, [])
    if not isinstance(entries, list):
        faults[section] = "must be a list"
        return ()
    rules = []
    for place, entry in enumerate(entries):
        key = f"{section}[{place}]"
        if not isinstance(entry, Mapping) or set(entry) != {"pattern", meaning}:
            faults[key] = f"must have exactly the keys pattern and {meaning}"
        elif entry[meaning] not in known:
            faults[key] = f"unknown {meaning} {entry[meaning]!r}; known: {', '.join(sorted(known))}"
        else:
            pattern = _pattern(str(entry["pattern"]), key, faults)
            rules.append(KernelRule(pattern, str(entry[meaning])))
    return tuple(rules)


def _pattern(text: str, key: str, faults: dict[str, str]) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        faults[key] = f"not a regular expression: {error}"
        return re.compile("(?!)")


@lru_cache(maxsize=1)
def default_rules() -> KernelRules:
    """Give the rules that come with etsim."""
    return _checked(read_own_yaml("kernel_rules.yaml"), "kernel_rules.yaml")


def with_own_rules(path: Path) -> KernelRules:
    """Give a user's rules followed by the default ones.

    Raises:
        InputError: no such file, or no text.
        SpecError: the file is faulty.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError("no kernel rules can be read there", where=path) from None
    own, ours = read_rules(text, path), default_rules()
    return KernelRules(
        own.classes + ours.classes, own.dtypes + ours.dtypes, ours.reduced_fp32, ours.few_rows
    )
