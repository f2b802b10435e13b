"""Units: what is printed reads back as what was meant, and what cannot be read is refused in one way only."""

import math
import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.budget.quantity import (
    BYTES,
    CHANGE,
    COUNT,
    FRACTION,
    JOULES,
    NUMBER,
    PER_SECOND,
    POINTS,
    RATIO,
    SECONDS,
    Dimension,
    QuantityError,
    parse,
    show,
    show_beside,
    show_interval,
    show_limit,
)

ALL = [BYTES, SECONDS, JOULES, FRACTION, POINTS, RATIO, CHANGE, COUNT, PER_SECOND, NUMBER]
dimensions = st.sampled_from(ALL)


def values(dimension: Dimension) -> st.SearchStrategy[float]:
    # from a nanosecond to more than any device holds; a share stops at the whole
    return st.floats(1e-9, min(1e15, dimension.most), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("95 %", FRACTION, 0.95),
        ("95%", FRACTION, 0.95),
        ("0.95", FRACTION, 0.95),
        (0.95, FRACTION, 0.95),
        ("99.9 %", FRACTION, 0.999),
        ("0.5 pt", POINTS, 0.005),
        ("0.7 pp", POINTS, 0.007),
        ("400 kB", BYTES, 400_000),
        ("400 KB", BYTES, 400_000),
        ("1.5 MiB", BYTES, 1_572_864),
        ("1 GiB", BYTES, 2**30),
        ("20 ms", SECONDS, 0.02),
        ("20 us", SECONDS, 2e-5),
        ("20 µs", SECONDS, 2e-5),
        ("20 μs", SECONDS, 2e-5),
        ("12 mJ", JOULES, 0.012),
        ("0.7", RATIO, 0.7),
        ("0.7x", RATIO, 0.7),
        ("70 %", RATIO, 0.7),
        (9.99, RATIO, 9.99),
        ("70x", RATIO, 70.0),
        ("1000 %", RATIO, 10.0),
        ("5 %", CHANGE, 0.05),
        ("500 k", COUNT, 500_000),
        ("+1e3 /s", PER_SECOND, 1000),
        ("-.5", NUMBER, -0.5),
        ("  7.  ", NUMBER, 7.0),
        ("1e-3", NUMBER, 0.001),
        pytest.param(10**300, NUMBER, 1e300, id="a large integer"),
    ],
)
def test_reads_to_the_last_bit(text: object, dimension: Dimension, value: float) -> None:
    assert parse(text, dimension) == value


@given(st.integers(0, 1000))
def test_a_share_in_tenths_of_a_percent_is_the_nearest_float_to_it(tenths: int) -> None:
    """So that 95 of 100 right meets `min: 95 %`, whatever the digits."""
    assert parse(f"{tenths / 10} %", FRACTION) == tenths / 1000


@pytest.mark.parametrize(
    ("text", "dimension", "said"),
    [
        ("400", BYTES, "has no unit"),
        ("400 kb", BYTES, "`kb` is no unit of size"),
        ("20 ms", BYTES, "`ms` is no unit of size"),
        ("5", CHANGE, "has no unit"),
        ("0.5 %", POINTS, "% is ambiguous for a drop"),
        ("0.5 pt", FRACTION, "pt is for a difference"),
        ("95", FRACTION, "more than 100 %"),
        ("101 %", FRACTION, "more than 100 %"),
        ("150 pt", POINTS, "more than 100 pt"),
        (70, RATIO, "write `70 %` if percent is meant, else `70x`"),
        ("10.0", RATIO, "write `10.0 %` if percent is meant, else `10.0x`"),
        ("3 x", NUMBER, "(units: none)"),
        ("about 5 ms", SECONDS, "is no time"),
        ("5 ms 3", SECONDS, "is no time"),
        ("", SECONDS, "is no time"),
        ("nan", NUMBER, "is no number"),
        ("inf", NUMBER, "is no number"),
        (math.nan, NUMBER, "is no number"),
        (math.inf, NUMBER, "is no number"),
        (True, NUMBER, "a number is wanted here"),
        (None, BYTES, "a size is wanted here, such as `400 kB`"),
        ([1], BYTES, "a size is wanted here"),
        ("31,235 /s", PER_SECOND, "write it like `1000 /s`, without commas"),
        ("1e400", NUMBER, "out of range"),
        ("1e9999999 kB", BYTES, "out of range"),
        ("1e99999999999999999999 kB", BYTES, "out of range"),
        pytest.param(10**5000, NUMBER, "thousands of digits", id="a-huge-integer"),
    ],
)
def test_refuses_with_a_sentence(text: object, dimension: Dimension, said: str) -> None:
    with pytest.raises(QuantityError) as refused:
        parse(text, dimension)
    assert said in str(refused.value)
    assert dimension.name in str(refused.value) or dimension.example in str(refused.value)


anything = st.one_of(
    st.text(),
    st.from_regex(r"\s*[-+]?\d*\.?\d*([eE][-+]?\d{1,30})?\s*(kB|MB|GiB|s|ms|%|pt|x|k|/s|J|)\s*", fullmatch=True),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.binary(),
)


@given(anything, dimensions)
def test_whatever_is_given_is_read_or_refused(text: object, dimension: Dimension) -> None:
    try:
        value = parse(text, dimension)
    except QuantityError:
        return
    assert math.isfinite(value)
    assert value <= dimension.most


@given(st.data(), dimensions)
def test_what_is_shown_reads_back_within_rounding(data: st.DataObject, dimension: Dimension) -> None:
    value = data.draw(values(dimension))
    coarse = {FRACTION.name: 0.0005, CHANGE.name: 0.0005, POINTS.name: 0.0005, RATIO.name: 0.005, PER_SECOND.name: 0.5}
    back = parse(show(value, dimension).replace(",", ""), dimension)
    # in decimals: of floats, 0.88 is farther from 0.875 than 0.005
    exact, half = Decimal(repr(value)), coarse.get(dimension.name, 0.5 if dimension == BYTES else 0.0)
    assert abs(Decimal(repr(back)) - exact) <= max(Decimal("0.005") * abs(exact), Decimal(repr(half)))


@given(st.data(), dimensions)
def test_a_dimension_sent_to_another_process_is_the_same(data: st.DataObject, dimension: Dimension) -> None:
    value = data.draw(values(dimension))
    sent: Dimension = pickle.loads(pickle.dumps(dimension))  # noqa: S301 - our own bytes
    assert sent is not dimension
    assert (sent, hash(sent)) == (dimension, hash(dimension))
    assert show(value, sent) == show(value, dimension)
    assert show_limit(value, sent) == show_limit(value, dimension)


@given(st.data(), dimensions)
def test_a_limit_reads_back_to_six_figures(data: st.DataObject, dimension: Dimension) -> None:
    value = data.draw(values(dimension))
    if dimension == NUMBER:
        assert parse(show_limit(value, dimension).replace(",", ""), dimension) == pytest.approx(value, rel=5e-4)
    else:
        assert parse(show_limit(value, dimension).replace(",", ""), dimension) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "400 kB",
        "1.5 MB",
        "1.048576 MB",
        "20 ms",
        "120 us",
        "12 mJ",
        "95 %",
        "99.99999 %",
        "0.5 pt",
        "5 %",
        "0.7x",
        "1,500 /s",
        "2,500,000 /s",
    ],
)
def test_a_limit_is_shown_as_it_was_written(text: str) -> None:
    unit = text.lstrip("0123456789.,").strip()
    dimension = next(d for d in (BYTES, SECONDS, JOULES, POINTS, FRACTION, RATIO, PER_SECOND) if unit in d.units)
    assert show_limit(parse(text.replace(",", ""), dimension), dimension) == text


@given(st.floats(1, 1e12), st.sampled_from([BYTES, SECONDS, JOULES, COUNT]))
def test_shown_figures_grow_with_the_value(value: float, dimension: Dimension) -> None:
    """The unit is chosen on what will be printed: 999.6 kB is never shown as 1000 kB or as less than it is."""
    smaller, larger = (parse(show(v, dimension).replace(",", ""), dimension) for v in (value, value * 1.02))
    assert smaller <= larger


@pytest.mark.parametrize(
    ("value", "dimension", "shown"),
    [
        (0, BYTES, "0 B"),
        (999_600, BYTES, "1.00 MB"),
        (123_456, BYTES, "123 kB"),
        (17, BYTES, "17 B"),
        (0.0123, SECONDS, "12.3 ms"),
        (0, SECONDS, "0 ns"),
        (0.95, FRACTION, "95.0 %"),
        (0.0004, FRACTION, "0.0400 %"),
        (0.62, RATIO, "0.62x"),
        (0.005, POINTS, "0.5 pt"),
        (12, COUNT, "12"),
        (7_970_000, COUNT, "7.97 M"),
        (0.29481, NUMBER, "0.2948"),
        (0.5, NUMBER, "0.5"),
        (25_312.4, NUMBER, "25,312"),
        (31_235.4, PER_SECOND, "31,235 /s"),
        (999.6, PER_SECOND, "1,000 /s"),
        (12.34, PER_SECOND, "12.3 /s"),
        (-2.616e-6, NUMBER, "-2.616e-06"),
        (float("nan"), BYTES, "not a finite number"),
        (float("inf"), RATIO, "not a finite number"),
    ],
)
def test_known_figures(value: float, dimension: Dimension, shown: str) -> None:
    assert show(value, dimension) == shown


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((-0.007197, 0.0112), "[-0.0072, 0.0112]"),
        ((0.4, 0.43), "[0.40, 0.43]"),
        ((0.41243, 0.4433), "[0.4124, 0.4433]"),
        ((24_000.2, 25_010.9), "[24,000, 25,011]"),
        ((0, 0), "[0, 0]"),
        ((-1.75e-5, 1.2e-5), "[-1.75e-05, 1.2e-05]"),
    ],
)
def test_the_ends_of_an_interval_of_numbers_have_as_many_decimals(ends: tuple[float, float], shown: str) -> None:
    assert show_interval(*ends, NUMBER) == shown


@pytest.mark.parametrize(
    ("value", "limit", "dimension", "shown"),
    [
        (1_048_577, 2**20, BYTES, "1.048577 MB"),
        (1_500_001, 1.5e6, COUNT, "1.500001 M"),
        (999_999, 1e6, BYTES, "0.999999 MB"),
        (2.0004e-3, 2e-3, SECONDS, "2.0004 ms"),
        (4e-5, 0.0, POINTS, "0.004 pt"),
        (0.0504, 0.05, CHANGE, "5.04 %"),
        (2e-3, 2e-3, SECONDS, "2.00 ms"),
        (2.5e-3, 2e-3, SECONDS, "2.50 ms"),
        (math.nan, 2e-3, SECONDS, "not a finite number"),
    ],
)
def test_a_figure_beside_a_limit_reads_like_it_only_where_it_is_that(
    value: float, limit: float, dimension: Dimension, shown: str
) -> None:
    assert show_beside(value, limit, dimension) == shown


@given(st.data(), dimensions, st.floats(-1e-3, 1e-3))
def test_a_figure_over_its_limit_reads_as_over_it(data: st.DataObject, dimension: Dimension, off: float) -> None:
    limit = data.draw(values(dimension))
    value = min(limit * (1 + off), dimension.most)
    if dimension == COUNT:
        value, limit = float(round(value)), float(round(limit))
    read, allowed = (
        parse(text.replace(",", ""), dimension)
        for text in (show_beside(value, limit, dimension), show_limit(limit, dimension))
    )
    if abs(value - limit) > 1e-12 * limit:
        assert (read > allowed) == (value > limit)
