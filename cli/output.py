"""How results are shown: text and tables on stdout, notes on stderr, JSON as published."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., None])

json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON."
)
csv_option: Callable[[F], F] = click.option(
    "--csv", "as_csv", is_flag=True, help="Print the table as CSV."
)


def say(text: str) -> None:
    """Print a line of the result."""
    click.echo(text)


def note(text: str) -> None:
    """Print a remark about the result on stderr."""
    click.echo(f"note: {text}", err=True)


def warn(text: str) -> None:
    """Print a doubt about the result on stderr."""
    click.echo(f"warning: {text}", err=True)


def print_json(value: object) -> None:
    """Print a value (dataclasses, dicts, lists) as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as CSV, one header line."""
    import csv  # noqa: PLC0415  # only where asked for: start-up time is a promise

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = ""
) -> None:
    """Print an aligned table: the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [
        max(len(head), *(len(row[i]) for row in cells)) if cells else len(head)
        for i, head in enumerate(header)
    ]
    if title:
        click.echo(f"\n{title}")
    for row in [list(header), ["-" * width for width in widths], *cells]:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(padded).rstrip())


def ms(duration_ns: float) -> str:
    """Give nanoseconds as milliseconds with a sensible number of digits."""
    value = duration_ns / 1e6
    digits = 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    return f"{value:,.{digits}f}"


def size(count_bytes: float) -> str:
    """Give bytes in the largest unit that leaves a number of 1 or more."""
    value, unit = float(count_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def percent(share: float) -> str:
    """Give a share as a percentage with one digit."""
    return f"{100 * share:.1f} %"
