"""The ledger of accuracy: no figure may worsen by a tenth (full run: benchmarks/accuracy)."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
WORSE = 1.1

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def ledger() -> ModuleType:
    """Import the benchmark, which stands beside the package."""
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("benchmarks.accuracy.ledger")
    finally:
        sys.path.remove(str(ROOT))


@pytest.mark.parametrize(
    "group", ["attention_figures", "row_figures", "collective_figures", "pair_figures",
              "whole_model_figures", "product_figures"],
)  # fmt: skip
def test_no_figure_of_the_ledger_worsens_by_a_tenth(ledger: ModuleType, group: str) -> None:
    path = ROOT / "benchmarks" / "accuracy" / "ledger.json"
    written = json.loads(path.read_text(encoding="utf-8"))["figures"]
    worse = {
        figure.task: (written[figure.task], figure.reached)
        for figure in getattr(ledger, group)()
        if figure.reached > WORSE * written[figure.task]
    }
    assert worse == {}
