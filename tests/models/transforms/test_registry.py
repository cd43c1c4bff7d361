"""Transforms are asked for by text; what is wrong with it is told before anything runs."""

import pytest

from etsim.models.errors import UsageError
from etsim.models.memory.effect import unchanged
from etsim.models.transforms.catalogue import parse_asked, transforms
from etsim.models.transforms.registry import Parameter, Transform, register


def test_values_are_read_and_defaults_filled() -> None:
    asked = parse_asked("link:bandwidth=2")
    assert asked.values == {"bandwidth": 2.0, "latency": 1.0, "tier": "all"}


def test_a_single_parameter_may_go_without_its_name() -> None:
    assert parse_asked("host:2").values == {"speed": 2.0}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "no transform 'nonsense'"),
        ("host", "speed is missing"),
        ("host:speed=fast", "'fast' is no number"),
        ("link:colour=red", "unknown parameter 'colour'"),
    ],
)
def test_what_is_wrong_with_a_text_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_asked(text)


def test_every_transform_says_what_it_does_and_what_it_assumes() -> None:
    for transform in transforms().values():
        assert transform.about.endswith(".")
        assert transform.edit.endswith(".")
        assert not transform.assumes.endswith(".")  # it ends a sentence of ours


def test_a_name_is_taken_once() -> None:
    host = transforms()["host"]
    with pytest.raises(ValueError, match="registered twice"):
        register(host)


def test_a_transform_that_does_not_explain_itself_is_refused() -> None:
    mute = Transform("mute", "", "", "", "", (Parameter("x", "y"),), lambda s, _: s, unchanged(""))
    with pytest.raises(ValueError, match="does not say"):
        register(mute)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ddp:ranks=inf", "no finite number"),
        ("host:speed=nan", "no finite number"),
        ("ddp:ranks=8,bucket=-1MB", "below 0"),
        ("cuda-graphs:launch=-1us", "below 0"),
    ],
)
def test_what_no_run_could_have_is_refused_before_anything_runs(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_asked(text)
