"""Quantities are read as datasheets write them, and refused where the unit is another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.units import Dimension, UnitError, parse

RATE, BYTES_S, SIZE = Dimension.OPERATION_RATE, Dimension.BYTE_RATE, Dimension.SIZE


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("312 TFLOP/s", RATE, 312e12),
        ("312 TFLOPS", RATE, 312e12),
        ("624 TOP/s", RATE, 624e12),
        ("1.5 PFLOP/s", RATE, 1.5e15),
        ("2.0 TB/s", BYTES_S, 2.0e12),
        ("2039 GB/s", BYTES_S, 2039e9),
        ("2039GB/s", BYTES_S, 2039e9),
        ("900 Gbit/s", BYTES_S, 112.5e9),
        ("900 Gb/s", BYTES_S, 112.5e9),
        ("80 GB", SIZE, 80e9),
        ("80 GiB", SIZE, 80 * 2**30),
        ("1410 MHz", Dimension.FREQUENCY, 1.41e9),
        ("5 us", Dimension.DURATION, 5e-6),
        ("5 µs", Dimension.DURATION, 5e-6),
        ("400 W", Dimension.POWER, 400.0),
        ("7 nm", Dimension.LENGTH, 7.0),
        ("2.5 USD/h", Dimension.PRICE, 2.5),
        (" -3 GB ", SIZE, -3e9),
        ("1e3 GB / s", BYTES_S, 1e12),
    ],
)
def test_a_quantity_comes_out_in_its_base_unit(
    text: str, dimension: Dimension, value: float
) -> None:
    assert parse(text, dimension) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("quantity", "dimension", "message"),
    [
        ("2.0 TB", BYTES_S, "'2.0 TB' is a size, expected bytes/s (e.g. '2.0 TB/s')"),
        ("80 GB/s", SIZE, "'80 GB/s' is a bandwidth, expected bytes (e.g. '80 GB')"),
        (
            "312 TFLOP",
            RATE,
            "'312 TFLOP' is a number of operations, expected operations/s (e.g. '312 TFLOP/s')",
        ),
        ("400 W", SIZE, "'400 W' is a power, expected bytes (e.g. '80 GiB')"),
        (80, SIZE, "80 has no unit, expected bytes (e.g. '80 GiB')"),
        ("80", SIZE, "'80' has no unit, expected bytes (e.g. '80 GiB')"),
        ("80 gb", SIZE, "'80 gb' has the unknown unit 'gb', did you mean 'GB'?"),
        ("3 gb/s", BYTES_S, "'3 gb/s' has the unknown unit 'gb/s', did you mean 'GB/s'?"),
        ("5 parsec", SIZE, "'5 parsec' has the unknown unit 'parsec', expected bytes"),
        ("2,039 GB/s", BYTES_S, "write numbers without commas"),
        ("fast", BYTES_S, "'fast' is not a quantity, expected bytes/s (e.g. '2039 GB/s')"),
        ("", SIZE, "is not a quantity"),
        (True, SIZE, "is not a quantity"),
        (None, SIZE, "is not a quantity"),
        (["80 GB"], SIZE, "is not a quantity"),
        ("nan GB", SIZE, "is not a quantity"),
        ("9e999 GB", SIZE, "is too large"),
    ],
)
def test_what_is_no_such_quantity_is_refused_with_a_hint(
    quantity: object, dimension: Dimension, message: str
) -> None:
    with pytest.raises(UnitError) as caught:
        parse(quantity, dimension)
    assert message in str(caught.value)


def test_bits_and_bytes_are_told_apart_by_case() -> None:
    assert parse("8 Gb/s", BYTES_S) * 8 == parse("8 GB/s", BYTES_S)


@given(st.text(max_size=30), st.sampled_from(Dimension))
def test_any_text_is_a_number_or_a_unit_error(text: str, dimension: Dimension) -> None:
    try:
        value = parse(text, dimension)
    except UnitError:
        return
    assert isinstance(value, float)


@given(st.floats(1e-3, 1e6), st.sampled_from(["k", "M", "G", "T"]))
def test_a_prefix_is_a_thousand_of_the_one_below(number: float, prefix: str) -> None:
    below = {"k": "", "M": "k", "G": "M", "T": "G"}[prefix]
    larger = parse(f"{number!r} {prefix}B/s", BYTES_S)
    assert larger == pytest.approx(1000 * parse(f"{number!r} {below}B/s", BYTES_S))


def test_every_example_in_a_message_is_itself_good() -> None:
    for dimension in Dimension:
        assert parse(dimension.example, dimension) > 0
