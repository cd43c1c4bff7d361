"""The shipped recordings, converted as a user would, once a process."""

from pathlib import Path

import pytest

from etsim.tests.cli.caller import RECORDED, call


@pytest.fixture(scope="session")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The MLP's run, `mlp.et`; to be read only."""
    path = tmp_path_factory.mktemp("mlp") / "mlp.et"
    call("convert", "--et", RECORDED / "mlp.et.json.gz", "--trace",
         RECORDED / "mlp.trace.json.gz", "-o", path)  # fmt: skip
    return path


@pytest.fixture(scope="session")
def ddp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of four ranks, `ddp.<rank>.et`; to be read only."""
    folder = tmp_path_factory.mktemp("ddp")
    call("convert", "--et", RECORDED / "ddp.et.*", "--trace", RECORDED / "ddp.trace.*",
         "-o", folder / "ddp.et")  # fmt: skip
    return folder
