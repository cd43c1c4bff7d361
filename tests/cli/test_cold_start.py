"""What a prediction from an .et imports: not the parts of etsim that it does not need."""

import pytest

from etsim.tests.cli.caller import RECORDED, call, call_apart


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Give what `etsim predict` imports, as Python itself tells it."""
    path = tmp_path_factory.mktemp("mlp") / "mlp.et"
    call("convert", "--et", RECORDED / "mlp.et.json.gz", "--trace",
         RECORDED / "mlp.trace.json.gz", "-o", path)  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPROFILEIMPORTTIME", "1")
        said = call_apart("predict", "--et", path, "--hw", "a100")
    assert said.code == 0, said
    told = [line for line in said.err.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in told}


@pytest.mark.parametrize(
    "unneeded",
    [
        "etsim.converters.ascend",
        "etsim.converters.event_table",
        "etsim.converters.kineto",
        "etsim.converters.link",
        "etsim.converters.nsys",
        "etsim.models.transforms.catalogue",
        "etsim.simulator.events",
        "etsim.simulator.serving",
    ],
)
def test_a_prediction_imports_only_what_it_needs(unneeded: str, imported: set[str]) -> None:
    assert "etsim.simulator.predict" in imported
    assert unneeded not in imported
