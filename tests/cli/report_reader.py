"""Read a report as a program does: its tables by key, each cell with its text and exact values."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "rect", "line", "path", "circle"}


@dataclass(slots=True)
class Cell:
    """What a cell says, and the exact values beside that."""

    said: str = ""
    values: list[str] = field(default_factory=list)

    @property
    def ns(self) -> int:
        """Give the only value as a whole number."""
        (value,) = self.values
        return int(value)

    @property
    def number(self) -> float:
        """Give the only value."""
        (value,) = self.values
        return float(value)


class ReportReader(HTMLParser):
    """Gathers tables, tags and links; checks that every element is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[Cell]]] = {}
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.leads: list[str] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self._table = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.tags.add(tag)
        for key, value in given.items():
            self.attributes.setdefault(key, set()).add(value)
        if tag == "table":
            self._table = given["data-table"]
            self.tables.setdefault(self._table, [])
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in {"th", "td"}:
            self.tables[self._table][-1].append(Cell())
        elif tag == "data":
            self.tables[self._table][-1][-1].values.append(given["value"])
        elif tag == "p" and given.get("class") == "lead":
            self.leads.append("")
        if tag not in VOID:
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            opened, _ = self._open.pop()
            assert opened == tag

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self._open]
        if "td" in inside or "th" in inside:
            self.tables[self._table][-1][-1].said += data
        elif self._open and self._open[-1][1].get("class") == "lead":
            self.leads[-1] += data

    def rows(self, key: str) -> dict[str, list[Cell]]:
        """Give a table's lines by their first cell, the header left out."""
        return {row[0].said: row[1:] for row in self.tables[key][1:]}

    @property
    def depth(self) -> int:
        """Give how many elements were never closed."""
        return len(self._open)


def read_report(html: str) -> ReportReader:
    """Read a page from its first letter to its last."""
    reader = ReportReader()
    reader.feed(html)
    reader.close()
    return reader
