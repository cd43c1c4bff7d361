"""Read a recorded pair plainly and judge it: `from etsim.tests.recorded_pair import read_pair`."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[1]

# What the observer writes for itself: Kineto has no event for them.
FRAME = {
    "[pytorch|profiler|execution_trace|thread]",
    "[pytorch|profiler|execution_trace|process]",
    "## process_group:init ##",
}


class _Attribute(TypedDict):
    name: str
    value: int


class _Node(TypedDict):
    name: str
    attrs: list[_Attribute]


class _Event(TypedDict, total=False):
    name: str
    cat: str
    args: dict[str, object]


@dataclass(frozen=True, slots=True)
class Pair:
    """An execution trace and a Kineto trace, as far as the tests ask."""

    whole: bool  # the observer wrote the end of its file
    names: Counter[str]  # the execution trace's nodes
    annotations: Counter[str]  # Kineto's user annotations
    unmatched: list[str]  # nodes without exactly one event of their id and name
    without_id: int  # Kineto events whose `Record function id` is 0
    groups: object  # Kineto's distributedInfo
    texts: tuple[str, str]  # both files as they are


def read_pair(folder: Path, name: str, rank: int | None = None) -> Pair:
    """Read `<name>.et[.<rank>].json[.gz]` and its trace."""
    number = "" if rank is None else f".{rank}"
    texts = (
        _read(folder / f"{name}.et{number}.json"),
        _read(folder / f"{name}.trace{number}.json"),
    )
    execution, profile = (json.loads(text) for text in texts)
    nodes: list[_Node] = execution["nodes"]
    events: list[_Event] = profile["traceEvents"]
    names_of_id: defaultdict[object, list[str]] = defaultdict(list)
    for event in events:
        if "Record function id" in event.get("args", {}):
            names_of_id[event["args"]["Record function id"]].append(event["name"])
    operators = [node for node in nodes if node["name"] not in FRAME]
    return Pair(
        whole="finish_ts" in execution,
        names=Counter(node["name"] for node in nodes),
        annotations=Counter(e["name"] for e in events if e.get("cat") == "user_annotation"),
        unmatched=[n["name"] for n in operators if names_of_id[_rf_id(n)] != [n["name"]]],
        without_id=len(names_of_id[0]),
        groups=profile.get("distributedInfo"),
        texts=texts,
    )


def run_python(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run python so that it finds this checkout as `etsim`."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=with_checkout(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def with_checkout(**environment: str) -> dict[str, str]:
    """Give the environment for a python that finds this checkout as `etsim`."""
    return {**os.environ, "PYTHONPATH": str(ROOT / ".links"), "OMP_NUM_THREADS": "1", **environment}


def _read(path: Path) -> str:
    packed = path.with_name(f"{path.name}.gz")
    return gzip.decompress(packed.read_bytes()).decode() if packed.exists() else path.read_text()


def _rf_id(node: _Node) -> int:
    return next(attr["value"] for attr in node["attrs"] if attr["name"] == "rf_id")
