"""Read tables of an Nsight Systems sqlite export; tables and columns may be missing."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import TraceFormatError

Cell = int | float | str | bytes | None
EXPORT = "nsys export --type sqlite -o report.sqlite report.nsys-rep"


@dataclass(frozen=True, slots=True)
class Database:
    """An open export; `columns` by table, as the file has them."""

    path: Path
    connection: sqlite3.Connection
    columns: dict[str, tuple[str, ...]]

    def rows(self, table: str, wanted: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
        """Give the wanted columns of each row; a missing column is None, a missing table empty."""
        there = self.columns.get(table)
        if there is None:
            return
        # names come from the file's own schema and from this package, never from a user
        listed = ", ".join(f'"{name}"' if name in there else "NULL" for name in wanted)
        try:
            yield from self.connection.execute(f'SELECT {listed} FROM "{table}"')
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path, error) from None

    def strings(self) -> dict[int, str]:
        """Give the table of strings that others point into."""
        return {number(key): str(value) for key, value in self.rows("StringIds", ("id", "value"))}


@contextmanager
def open_database(path: Path) -> Iterator[Database]:
    """Open an export for reading.

    Raises:
        TraceFormatError: damaged, or a sqlite file of another kind.
    """
    # immutable: the file may lie where nobody may write, and nobody writes it now
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(uri, uri=True)
    try:
        yield Database(path, connection, _columns(connection, path))
    finally:
        connection.close()


def _columns(connection: sqlite3.Connection, path: Path) -> dict[str, tuple[str, ...]]:
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        columns = {
            name: tuple(row[1] for row in connection.execute(f'PRAGMA table_info("{name}")'))
            for name in names
        }
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from None
    if "StringIds" not in columns:
        raise TraceFormatError(
            "is a sqlite file, but not Nsight Systems' export", where=path, remedy=EXPORT
        )
    return columns


def _damaged(path: Path, error: sqlite3.DatabaseError) -> TraceFormatError:
    return TraceFormatError(f"the sqlite file is damaged: {error}", where=path, remedy=EXPORT)


def number(cell: Cell, missing: int = 0) -> int:
    """Give a cell as an int."""
    return int(cell) if isinstance(cell, (int, float)) else missing
