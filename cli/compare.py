"""`etsim compare`: two runs side by side, by category, operator and module."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from ..models.graph import Dims
from ..models.timeline import Timeline, measured
from ..simulator.breakdown.selection import Selection
from ..simulator.compare import Comparison, Pair, Side, compare
from ..simulator.operator_match import MatchedBy
from ..simulator.predict import predict
from .inputs import load_graphs, need_times
from .machines import source_hardware, target_hardware
from .output import (
    csv_option,
    json_option,
    ms,
    note,
    percent,
    print_csv,
    print_json,
    print_table,
    say,
    warn,
)

_HEADER = ("A ms", "B ms", "B / A", "B - A ms")
_NAME_WIDTH = 72
_UNKNOWN = "-"
_COLUMNS = ("name", "shapes", "matched_by", "count_a", "count_b", "a_ns", "b_ns", "ratio",
            "difference_ns", "host_a_ns", "host_b_ns")  # fmt: skip


@click.command(name="compare")
@click.argument("a")
@click.argument("b")
@click.option("--hw-a", metavar="NAME|FILE", help="Take A as predicted there, not as measured.")
@click.option("--hw-b", metavar="NAME|FILE", help="Take B as predicted there, not as measured.")
@click.option("--step", "steps", multiple=True, metavar="NAME",
              help="Only what these steps launched: name, number or pattern.")  # fmt: skip
@click.option("--include-unlinked/--no-include-unlinked", default=False, show_default=True,
              help="Count device work whose launch is not in the file.")  # fmt: skip
@click.option("--top", type=click.IntRange(min=1), default=15, show_default=True,
              help="How many operators and modules to print.")  # fmt: skip
@json_option
@csv_option
def command(
    a: str, b: str, hw_a: str | None, hw_b: str | None, steps: Sequence[str],
    include_unlinked: bool, top: int, as_json: bool, as_csv: bool,
) -> None:  # fmt: skip
    """Compare two timelines: by category, operator and module, with what has no partner.

    A and B are .et files, traces, folders or (quoted) patterns; each of one rank or many.
    """
    side_a, side_b = _load(a, hw_a), _load(b, hw_b)
    selection = Selection(tuple(steps), include_unlinked)
    found = compare(side_a.timelines, side_b.timelines, selection)
    if as_json:
        print_json(_document(found, side_a, side_b))
    elif as_csv:
        _show_csv(found)
    else:
        _show(found, (side_a.label, side_b.label), top)


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """One side's timelines, what to call it, and where it was predicted, "" if measured."""

    timelines: list[Timeline]
    label: str
    predicted_on: str


def _load(spec: str, hw: str | None) -> _Loaded:
    graphs = load_graphs([spec])
    for graph in graphs:
        need_times(graph, "a comparison")
    if hw is None:
        device = graphs[0].meta.source_device
        label = f" ({device})" if device else ""
        return _Loaded([measured(graph) for graph in graphs], label, "")
    source, target = target_hardware(hw, source_hardware(graphs, None), graphs)
    prediction = predict(graphs, source, target)
    for doubt in prediction.warnings:
        warn(doubt)
    # the timeline's waits are read off its edges, so it needs the lags it was replayed with
    graph = replace(prediction.graph, edge_lag_ns=prediction.priced.lag_ns)
    timeline = replace(prediction.timeline, graph=graph)
    return _Loaded([timeline], f" (predicted on {target.name})", target.name)


def _document(found: Comparison, side_a: _Loaded, side_b: _Loaded) -> dict[str, object]:
    return {
        "a": found.a,
        "b": found.b,
        "predicted_on": {"a": side_a.predicted_on, "b": side_b.predicted_on},
        "ratio": found.ratio,
        "difference_ns": found.b.window_ns - found.a.window_ns,
        "categories": [_pair_json(pair) for pair in found.categories],
        "operators": [_pair_json(pair) for pair in found.operators],
        "modules": [_pair_json(pair) for pair in found.modules],
    }


def _pair_json(pair: Pair) -> dict[str, object]:
    return {
        "name": pair.name,
        "shapes": pair.shapes,
        "matched_by": str(pair.matched_by),
        "count_a": pair.count_a,
        "count_b": pair.count_b,
        "a_ns": pair.a_ns,
        "b_ns": pair.b_ns,
        "ratio": pair.ratio,
        "difference_ns": pair.difference_ns,
        "host_a_ns": pair.host_a_ns,
        "host_b_ns": pair.host_b_ns,
    }


def _show_csv(found: Comparison) -> None:
    sections = {
        "category": found.categories,
        "operator": found.operators,
        "module": found.modules,
    }
    rows = [
        (section, *({**_pair_json(pair), "shapes": _shapes(pair.shapes)}[c] for c in _COLUMNS))
        for section, pairs in sections.items()
        for pair in pairs
    ]
    print_csv(("by", *_COLUMNS), rows)


def _show(found: Comparison, labels: tuple[str, str], top: int) -> None:
    say(_headline(found, labels))
    print_table(
        ("", *_HEADER), [(p.name, *_cells(p)) for p in found.categories], title="By category"
    )
    paired = [p for p in found.operators if p.count_a and p.count_b]
    rows = [_operator_row(pair) for pair in paired[:top]]
    print_table(
        ("operator", "A", "B", *_HEADER, "matched by"), rows,
        title=f"Operators on both sides, largest difference first ({_shown(len(paired), top)})",
    )  # fmt: skip
    _show_alone(found, top)
    modules = [(_short(p.name, from_end=True), *_cells(p)) for p in found.modules[:top]]
    title = f"By module, busy time ({_shown(len(found.modules), top)})"
    print_table(("module", *_HEADER), modules, title=title)
    say("")
    say(f"Operators matched: {_coverage(found.a, 'A')}; {_coverage(found.b, 'B')}.")
    _tell(found)


def _headline(found: Comparison, labels: tuple[str, str]) -> str:
    a, b = found.a.window_ns, found.b.window_ns
    ratio = f"{found.ratio:.3f} times" if found.ratio is not None else "against"
    parts = [pair for pair in found.categories if pair.name not in ("window", "communication")]
    main = max(parts, key=lambda pair: abs(pair.difference_ns))
    return (
        f"B{labels[1]} takes {ms(b)} ms, {ratio} A's {ms(a)} ms{labels[0]}: "
        f"{_signed(b - a)} ms, {main.name} {_signed(main.difference_ns)} ms."
    )


def _signed(value_ns: int) -> str:
    return f"+{ms(value_ns)}" if value_ns > 0 else ms(value_ns)


def _cells(pair: Pair) -> tuple[str, ...]:
    ratio = _UNKNOWN if pair.ratio is None else f"{pair.ratio:.3f}"
    return ms(pair.a_ns), ms(pair.b_ns), ratio, _signed(pair.difference_ns)


def _operator_row(pair: Pair) -> tuple[str, ...]:
    name = _short(f"{pair.name} {_shapes(pair.shapes)}".strip())
    return (name, f"{pair.count_a:,}", f"{pair.count_b:,}", *_cells(pair), str(pair.matched_by))


def _show_alone(found: Comparison, top: int) -> None:
    for side, alone in (
        ("A", [pair for pair in found.operators if not pair.count_b]),
        ("B", [pair for pair in found.operators if not pair.count_a]),
    ):
        if alone:
            rows = [
                (_short(f"{pair.name} {_shapes(pair.shapes)}".strip()),
                 f"{pair.count_a or pair.count_b:,}", ms(pair.a_ns or pair.b_ns))
                for pair in alone[:top]
            ]  # fmt: skip
            title = f"Only in {side} ({_shown(len(alone), top)})"
            print_table(("operator", "count", "ms"), rows, title=title)


def _shown(count: int, top: int) -> str:
    return f"all {count:,}" if count <= top else f"{top} of {count:,}"


def _coverage(side: Side, name: str) -> str:
    share = percent(side.matched_ns / side.operator_ns) if side.operator_ns else _UNKNOWN
    return f"{side.matched:,} of {side.operators:,} in {name} ({share} of their time)"


def _tell(found: Comparison) -> None:
    for name, side in (("A", found.a), ("B", found.b)):
        if side.cpu_only:
            note(f"{name} has no device work: its operators' times are the host's")
        if side.left_out:
            note(f"{name}: {side.left_out:,} device operations without launch are left out")
        if side.ranks > 1:
            note(f"{name}: times are means over {side.ranks} ranks, the window is the longest")
    by_name = sum(p.count_a for p in found.operators if p.matched_by is MatchedBy.NAME)
    if by_name:
        note(f"{by_name:,} operators are matched by name only: their shapes differ")


def _shapes(shapes: tuple[Dims, ...]) -> str:
    return " ".join(_dims(one) for one in shapes if one != ())


def _dims(dims: Dims) -> str:
    if isinstance(dims, int):
        return str(dims)
    if any(isinstance(inner, tuple) for inner in dims):
        return "[" + " ".join(_dims(inner) for inner in dims) + "]"
    return "x".join(str(inner) for inner in dims) or "()"


def _short(name: str, *, from_end: bool = False) -> str:
    if len(name) <= _NAME_WIDTH:
        return name
    kept = _NAME_WIDTH - 3
    return f"...{name[-kept:]}" if from_end else f"{name[:kept]}..."
