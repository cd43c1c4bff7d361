"""Numbers and tables: what people read, and beside it the exact value for programs."""

from collections.abc import Iterable, Sequence

from ..output import ms, percent, size
from .elements import Markup, element, text, together

NARROW = 4  # columns up to which a table need not be as wide as the page


def time(duration_ns: int) -> Markup:
    """Give a time in ms; its attribute `value` has the nanoseconds."""
    return element("data", ms(duration_ns), value=str(duration_ns))


def share(value: float) -> Markup:
    """Give a share in per cent; its attribute `value` has all digits."""
    return element("data", percent(value), value=repr(value))


def change(value: float) -> Markup:
    """Give a signed change in per cent."""
    return element("data", signed_percent(value), value=repr(value))


def signed_percent(value: float) -> str:
    """Write a change in per cent; none has no sign."""
    shown = round(100 * value, 1)
    return f"{shown:+.1f} %" if shown else "0.0 %"


def signed_ms(duration_ns: int) -> str:
    """Write a change in ms; none has no sign."""
    shown = round(duration_ns / 1e6, 3)
    return f"{shown:+,.3f}" if shown else "0.000"


def memory_size(count_bytes: int) -> Markup:
    """Give bytes in a fitting unit."""
    return element("data", size(count_bytes), value=str(count_bytes))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, key: str) -> Markup:
    """Give a table, its first column to the left; columns without a single figure are left out.

    Args:
        header: a title for each column.
        rows: of cells, text or markup.
        key: names the table for programs.
    """
    lines = list(rows)
    kept = [place for place in range(len(header)) if not place or any(r[place] for r in lines)]
    head = element("tr", *(element("th", header[place], scope="col") for place in kept))
    body = together(*(_row([row[place] for place in kept]) for row in lines))
    wide = None if len(kept) > NARROW else "narrow"
    inner = element("table", element("thead", head), element("tbody", body), data_table=key,
                    class_=wide)  # fmt: skip
    return element("div", inner, class_="scroll")


def _row(row: Sequence[str]) -> Markup:
    first, *rest = row
    cells = [element("td", cell) for cell in rest]
    return element("tr", element("th", first, scope="row"), *cells)


def short(name: str, letters: int) -> str:
    """Cut a long name in its middle, where names of kernels differ least."""
    if len(name) <= letters:
        return name
    tail = letters // 3
    return f"{name[: letters - tail - 1]}…{name[-tail:]}"


def code(name: str, letters: int = 76) -> Markup:
    """Give a name from a trace; one too long is cut, and whole where the mouse rests."""
    cut = short(name, letters)
    return element("code", cut, title=name if cut != name else None)


def listed(sentences: Iterable[str]) -> Markup:
    """Give sentences as a list, each as one item."""
    return element("ul", *(element("li", text(sentence)) for sentence in sentences))
