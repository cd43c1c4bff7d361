"""Bind the name `etsim` to this checkout, so that tests never meet a stale install."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Machines differ and share their cores: a slow example is no failure.
settings.register_profile("etsim", deadline=None)
settings.load_profile("etsim")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


def _bind_checkout() -> None:
    spec = importlib.util.spec_from_file_location(
        "etsim", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["etsim"] = module
    spec.loader.exec_module(module)


_bind_checkout()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a thing this machine lacks, saying which."""
    has_torch = importlib.util.find_spec("torch") is not None
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason="no measured data beside the checkout"))
        if item.get_closest_marker("torch") and not has_torch:
            item.add_marker(pytest.mark.skip(reason="torch is not installed"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of measured traces and tables; use with `@pytest.mark.shared`."""
    return SHARED
