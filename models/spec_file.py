"""Read a hardware spec's YAML into flat leaves, `memory.bandwidth` -> '2039 GB/s', unchecked.

What is no spec at all (missing, empty, not YAML, a trace given by mistake) is one InputError;
what is wrong inside a spec is gathered as faults by key, for `spec_check` to tell all at once.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from .errors import InputError
from .spec_keys import KEYS, TABLES, complaint

# A spec is some dozens of lines; whatever is larger was named by mistake (a trace, a log).
_LARGEST_SPEC_BYTES = 1 << 20

# Names and text that describe the file, not the machine.
_NOT_FIGURES = frozenset({"name", "like", "aliases", "recorded_as", "source", "calibration"})


@dataclass(frozen=True, slots=True)
class SpecFile:
    """The leaves of one file by dotted key, where each is from, and what was wrong on the way."""

    path: Path
    leaves: Mapping[str, object]
    sources: Mapping[str, str]
    faults: Mapping[str, str]


class _SpecLoader(yaml.SafeLoader):
    """YAML without the two traps: a repeated key (the last would win) and aliases (may loop)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event: yaml.AliasEvent = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"YAML aliases (*{event.anchor}) are not read")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key.value}' stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        mapping: dict[Hashable, object] = super().construct_mapping(node, deep=deep)
        return mapping


def read_spec_file(path: Path) -> SpecFile:
    """Read one file into leaves.

    Raises:
        InputError: there is no such file, or it is not a YAML mapping.
    """
    return _leaves(path, _read_text(path))


@lru_cache(maxsize=32)  # a sweep changes figures of few files thousands of times
def _leaves(path: Path, text: str) -> SpecFile:
    content = _parse_yaml(path, text)
    if content is None:
        raise InputError("the file is empty", where=path, remedy="see `etsim hw show l4`")
    if not isinstance(content, dict):
        raise InputError(
            f"not a hardware spec: a {type(content).__name__} where keys such as 'name:' should be",
            where=path,
            remedy="see `etsim hw show l4`",
        )
    leaves: dict[str, object] = {}
    faults: dict[str, str] = {}
    stated = content.pop("sources", {})
    _flatten(content, "", leaves, faults)
    sources = _sources_of(leaves, _read_sources(stated, leaves, faults))
    return SpecFile(path, leaves, sources, faults)


def _read_text(path: Path) -> str:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > _LARGEST_SPEC_BYTES:
            raise InputError(
                f"too large for a hardware spec ({size_bytes / 1e6:.0f} MB)",
                where=path,
                remedy="a spec is a YAML of some dozen lines; is this a trace?",
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("no such file", where=path) from error
    except UnicodeDecodeError as error:
        raise InputError("not a text file", where=path, remedy="a spec is YAML in UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error


# The project's own specs are tested to hold no trap, so libyaml may read them: ten times faster,
# and a recorded device's name is looked for in all of them.
_CATALOGUE = Path(__file__).with_name("catalogue")
_OWN_LOADER = getattr(yaml, "CSafeLoader", _SpecLoader)


def _parse_yaml(path: Path, text: str) -> object:
    loader = _OWN_LOADER if path.parent == _CATALOGUE else _SpecLoader
    try:
        return yaml.load(text, Loader=loader)  # both are SafeLoaders
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}" if mark is not None else path
        raise InputError(f"not YAML: {error.problem}", where=place) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = str(error).partition("\n")[0]
        raise InputError(f"not YAML: {told}", where=path) from error


def _flatten(
    mapping: Mapping[object, object], table: str, leaves: dict[str, object], faults: dict[str, str]
) -> None:
    """Gather the leaves under a table; keys may nest or be dotted, `memory: {size}` is both."""
    for name, value in mapping.items():
        key = f"{table}.{name}" if table else str(name)
        if key in leaves:
            faults[key] = "stands twice, once nested and once dotted"
        elif key in KEYS and value is None:
            faults[key] = "has no value"
        elif key in KEYS:
            leaves[key] = value
        elif key not in TABLES:
            faults[key] = complaint(key)
        elif isinstance(value, dict):
            _flatten(value, key, leaves, faults)
        else:
            faults[key] = f"must be a mapping, such as {_example(key)}"


def _example(table: str) -> str:
    """Show how a table is written, with its first two keys."""
    below = [key.removeprefix(f"{table}.") for key in KEYS if key.startswith(f"{table}.")]
    return "{" + ", ".join(f"{key}: ..." for key in below[:2]) + "}"


def _read_sources(
    stated: object, leaves: Mapping[str, object], faults: dict[str, str]
) -> dict[str, str]:
    """Read `sources:`, texts by key or by table (`peak` stands for all of it)."""
    if not isinstance(stated, dict):
        faults["sources"] = "must be a mapping, such as {memory.bandwidth: where it is from}"
        return {}
    texts: dict[str, str] = {}
    for key, text in _flat_texts(stated, "").items():
        covers = any(leaf == key or leaf.startswith(f"{key}.") for leaf in leaves)
        if not isinstance(text, str) or not text.strip():
            faults[f"sources.{key}"] = "must be text"
        elif not covers and key not in KEYS and key not in TABLES:
            faults[f"sources.{key}"] = complaint(key)
        elif not covers:
            faults[f"sources.{key}"] = "this file gives no such figure"
        else:
            texts[key] = " ".join(text.split())
    return texts


def _flat_texts(stated: Mapping[object, object], table: str) -> dict[str, object]:
    """Undo the nesting of `sources:`."""
    flat: dict[str, object] = {}
    for name, text in stated.items():
        key = f"{table}.{name}" if table else str(name)
        if isinstance(text, dict):
            flat |= _flat_texts(text, key)
        else:
            flat[key] = text
    return flat


def _sources_of(leaves: Mapping[str, object], stated: Mapping[str, str]) -> dict[str, str]:
    """Give every leaf its source: its own, else its table's, else the file's `source:`."""
    default = str(leaves.get("source", ""))
    return {key: _nearest(key, stated, default) for key in leaves if key not in _NOT_FIGURES}


def _nearest(key: str, stated: Mapping[str, str], default: str) -> str:
    while key:
        if key in stated:
            return stated[key]
        key = key.rpartition(".")[0]
    return default
