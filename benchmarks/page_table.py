"""Puts a measured table into a page of the docs, between its marks."""

from pathlib import Path


def write_table(page: Path, mark: str, text: str) -> None:
    """Replace what stands between `<!-- mark: begin -->` and `<!-- mark: end -->`.

    Raises:
        ValueError: the page lacks a mark.
    """
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    old = page.read_text(encoding="utf-8")
    first, last = old.index(begin) + len(begin), old.index(end)
    page.write_text(f"{old[:first]}\n{text}\n{old[last:]}", encoding="utf-8")
