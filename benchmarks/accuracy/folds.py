"""Constants of every fold, kept beside the ledger: tests judge the model without fitting again.

`python -m benchmarks.accuracy.ledger` fits anew and writes `folds.json`; a test reads it, so it
notices when the model's code changes what those constants give.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

from etsim.models.costs.constants import C

STORE = Path(__file__).with_name("folds.json")


class Folds:
    """The fitted constants by name; `fit_anew` decides whether stored ones count."""

    def __init__(self) -> None:
        self.fit_anew = False
        self.values: dict[str, dict[str, float]] = {}

    def get(self, name: str, like: C, make: Callable[[], C]) -> C:
        """Give constants of the kind of `like`: this run's, else stored ones, else fitted now."""
        found = self.values.get(name)
        if found is None and not self.fit_anew:
            found = stored().get(name)
        if found is None:
            found = asdict(make())
        self.values[name] = found
        return type(like)(**found)

    def write(self) -> None:
        """Keep what this run fitted."""
        rounded = {
            name: {key: float(f"{value:.6g}") for key, value in one.items()}
            for name, one in sorted(self.values.items())
        }
        STORE.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


@cache
def stored() -> dict[str, dict[str, float]]:
    """Give the constants kept by the last full run, none before the first."""
    if not STORE.is_file():
        return {}
    found: dict[str, dict[str, float]] = json.loads(STORE.read_text(encoding="utf-8"))
    return found


FOLDS = Folds()
