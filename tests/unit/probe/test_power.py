"""Meters that tell their readings by themselves, in the formats that such write, beside what is known to be taken."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from makeweight_probe import meters, rails
from makeweight_probe.meters import Meter, NoMeter, stream, tegrastats
from makeweight_probe.power import Followed, Reading

# What tegrastats prints on a Nano (JetPack 4), an Orin NX (JetPack 5), an AGX Orin and an AGX Xavier.
NANO = (
    "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB) CPU [5%@1224,4%@1224,3%@1224,"
    "6%@1224] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40C PMIC@50C GPU@40C AO@45C thermal@40C "
    "POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406\n"
)
ORIN_NX = (
    "03-01-2024 10:02:11 RAM 2448/7620MB (lfb 3x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@729,off,3%@729,4%@729] "
    "GR3D_FREQ 0% cpu@47.5C soc2@46.0C tj@49.1C VDD_IN 4988mW/4870mW VDD_CPU_GPU_CV 894mW/870mW VDD_SOC 1450mW/1431mW\n"
)
AGX_ORIN = (
    "GR3D_FREQ 14%@[407,407] VIC_FREQ 115 APE 174 CPU@77.281C tj@77.281C VDD_GPU_SOC 3150mW/2971mW "
    "VDD_CPU_CV 14312mW/12415mW VIN_SYS_5V0 4968mW/5048mW VDDQ_VDD2_1V8AO 1091mW/1091mW\n"
)
AGX_XAVIER = "CPU@35.5C GPU 310/310 CPU 1240/1102 SOC 932/932 CV 0/0 VDDRQ 155/155 SYS5V 1892/1885\n"


@pytest.mark.parametrize(
    ("line", "watts"),
    [
        (NANO, 1.750),
        (ORIN_NX, 4.988),
        (AGX_ORIN, 3.150 + 14.312 + 4.968),
        (AGX_XAVIER, 0.310 + 1.240 + 0.932 + 0.155 + 1.892),
    ],
    ids=["nano", "orin-nx", "agx-orin", "agx-xavier"],
)
def test_what_a_board_takes_by_a_line_of_tegrastats(line: str, watts: float) -> None:
    told = tegrastats.powers(line)
    assert sum(told[name] for name in rails.counting(told)) == pytest.approx(watts)


def test_tegrastats_is_followed_while_it_runs_and_then_ended() -> None:
    told = f"import time\nwhile 1: print({ORIN_NX!r}, end='', flush=True); time.sleep(.02)"
    meter = tegrastats.open_meter((sys.executable, "-c", told))
    _check(meter, 4.988, time.monotonic())
    meter.close()
    with pytest.raises(NoMeter, match="there is no `tegrastats`"):
        meters.find("tegrastats")
    with pytest.raises(NoMeter, match="tells no power: RAM 1/2MB"):
        tegrastats.open_meter((sys.executable, "-c", "print('RAM 1/2MB')"))


def _check(meter: Meter, watts: float, opened: float) -> None:
    """That it reads so many, however late this machine is: its clock is known the better the longer it is open."""
    before, least = meter.joules(), time.monotonic()
    time.sleep(0.05)
    least = time.monotonic() - least
    taken = meter.joules() - before
    assert watts * least * 0.99 <= taken <= watts * (time.monotonic() - opened)


class Paper:
    """A meter whose readings are handed over by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self._told: queue.Queue[Reading | None] = queue.Queue()

    def clock(self) -> float:
        return self.now

    def tell(self, *readings: Reading) -> None:
        for reading in readings:
            self._told.put(reading)
        while not self._told.empty():
            time.sleep(0.001)

    def __iter__(self) -> Iterator[Reading]:
        while (reading := self._told.get()) is not None:
            yield reading

    def followed(self) -> Followed:
        return Followed("paper", iter(self), lambda: self._told.put(None), self.clock, 0.5)


def soon(function: Callable[..., object], *given: object) -> None:
    """What a meter that is closed leaves unread is waited for by a thread that does not outlive the tests."""
    timer = threading.Timer(0.02, function, given)
    timer.daemon = True
    timer.start()


def test_what_is_asked_is_answered_of_that_moment_by_the_meters_own_clock() -> None:
    """Its clock is 100 s ahead, and several readings come at once."""
    paper = Paper()
    soon(paper.tell, (100.0, 10.0), (100.0, 10.0))
    meter = paper.followed()
    before = meter.joules()
    paper.now = 0.2
    paper.tell((100.1, 10.0), (100.15, 20.0), (100.18, 20.0))
    while meter._count < 5:
        time.sleep(0.001)
    paper.now = 0.25

    def more() -> None:
        paper.now = 0.4
        paper.tell((100.2, 20.0), (100.3, 40.0), (100.35, 40.0))

    soon(more)
    # 0.25 s is 100.25 s there, half the way from 20 W to 40 W
    assert meter.joules() - before == pytest.approx(10 * 0.1 + 15 * 0.05 + 20 * 0.05 + 25 * 0.05)
    meter.close()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([(1.0, 5.0), (0.5, 5.0)], "goes back in time, from 1 s to 0.5 s"),
        ([(1.0, 5.0), (2.0, float("nan"))], "tells nan W"),
        ([], "has told nothing for 0.5 s"),
        ([(1.0, 5.0)], "has told nothing for 0.5 s"),
    ],
    ids=["back", "nan", "silent", "one"],
)
def test_a_meter_that_tells_nonsense_or_nothing_is_given_up(told: list[Reading], why: str) -> None:
    paper = Paper()
    soon(paper.tell, *told)
    with pytest.raises(NoMeter, match=why):
        paper.followed()


def test_readings_that_come_too_seldom_for_a_block_are_refused() -> None:
    paper = Paper()
    soon(paper.tell, (0.0, 5.0), (0.0, 5.0))
    meter = paper.followed()
    paper.now = 2.0
    soon(paper.tell, (1.0, 5.0), (2.0, 5.0))
    with pytest.raises(NoMeter, match=r"tells a reading every 0\.5 s, and every 0\.1 s is needed"):
        meter.joules()
    meter.close()


# A Joulescope's record of statistics, a Monsoon's export, an Otii's of voltage and current, and a sketch for an INA219
# that prints milliseconds and milliwatts: 2 W in all of them.
FORMATS = {
    "joulescope": (
        {"time": "#time", "power": "power"},
        "#time,current,voltage,power,charge,energy\n",
        "{s:.2f},0.4,5.0,2.0,0.1,0.5\n",
    ),
    "monsoon": (
        {"time": "Time (s)", "power": "Main Avg Power (mW)", "power_unit": "mW"},
        "Time (s), Main Avg Power (mW), Main Avg Voltage (V)\n",
        "{s:.4f},2000.0,4.2\n",
    ),
    "otii": (
        {"voltage": "Main Voltage", "current": "Main Current", "current_unit": "mA", "separator": ";"},
        "Timestamp;Main Current;Main Voltage\n",
        "{s};500;4.0\n",
    ),
    "otii-german": (
        {
            "voltage": "Main Voltage",
            "current": "Main Current",
            "current_unit": "mA",
            "separator": ";",
            "decimal": ",",
        },
        "Timestamp;Main Current;Main Voltage\n",
        "{s};500,0;4,0\n",
    ),
    "ina219": ({"time": 0, "time_unit": "ms", "power": 1, "power_unit": "mW", "separator": " "}, "", "{ms} 2000.0\r\n"),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("through", ["file", "pipe"])
def test_lines_of_meters_are_followed_as_they_are_written(tmp_path: Path, name: str, through: str) -> None:
    columns, names, line = FORMATS[name]
    place = tmp_path / "meter"
    if through == "pipe":
        os.mkfifo(place)
    else:
        place.write_text(names + line.format(s=0.0, ms=0).replace("2", "9") * 3)
    ends = threading.Event()

    def write() -> None:
        with place.open("a", buffering=1) as file:
            file.write(names if through == "pipe" else "")
            begun = time.monotonic()
            while not ends.wait(0.005):
                passed = time.monotonic() - begun
                file.write(line.format(s=passed, ms=passed * 1e3))

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    try:
        opened = time.monotonic()
        meter = meters.find({"kind": "stream", "path": str(place), **columns})
        assert meter.source == str(place)
        _check(meter, 2.0, opened)
    finally:
        ends.set()
        writing.join(5)
    meter.close()


def test_a_stream_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    place = tmp_path / "meter.csv"
    with pytest.raises(NoMeter, match=r"^stream: .*meter\.csv cannot be read: No such file"):
        meters.find({"kind": "stream", "path": str(place), "power": 1})
    place.write_text("time,power\n")
    for options, why in (
        ({"power": "watts"}, "has no column `watts`; it has time, power"),
        ({"power": 1, "power_unit": "kg"}, "`kg` is no unit"),
        ({"voltage": 1}, "which column is its `power`"),
        ({"power": 1, "decimal": ","}, "cannot stand both between columns and before decimals"),
    ):
        with pytest.raises(NoMeter, match=why):
            meters.find({"kind": "stream", "path": str(place), **options})


@pytest.mark.parametrize(
    ("row", "line", "told"),
    [
        (stream._Row(";", ",", None, [(0, 1.0)], None), "12,5;3", (None, 12.5)),
        (stream._Row(";", ",", None, [(0, 1.0)], None), "1.234,5;3", None),
        (stream._Row(";", ",", None, [(0, 1.0)], None), "1.234;3", None),
        (stream._Row(",", ".", 2, [(1, 1e-3)], (0, 1.0)), "0.5,2000,", (0.5, 2.0)),
        (stream._Row(",", ".", 2, [(1, 1.0)], (0, 1.0)), "0,5,12,5", None),
        (stream._Row(",", ".", None, [(1, 1.0)], None), "0.5", None),
    ],
    ids=["comma", "thousands", "thousands-alone", "a-separator-at-the-end", "commas-in-numbers", "cut-short"],
)
def test_a_comma_is_a_decimal_one_where_that_is_declared(
    row: stream._Row, line: str, told: tuple[float | None, float] | None
) -> None:
    """And what would be read as another number is none."""
    if told is not None:
        assert row.reading(line) == told
        return
    with pytest.raises((ValueError, IndexError)):
        row.reading(line)


def test_a_stream_of_garbage_is_given_up(tmp_path: Path) -> None:
    place = tmp_path / "meter"
    os.mkfifo(place)
    threading.Thread(target=lambda: place.write_text("booting ...\n" * 30), daemon=True).start()
    with pytest.raises(NoMeter, match=r"tells no readings: `booting \.\.\.`"):
        stream.open_meter(path=str(place), power=1)


def test_a_serial_port_is_read_at_its_rate() -> None:
    """A pseudo terminal has its settings."""
    import termios

    ours, theirs = os.openpty()
    read = threading.Event()

    def told() -> None:
        while not read.wait(0.02):  # what came before the port was set is thrown away
            os.write(ours, b"2.0\n")

    writing = threading.Thread(target=told, daemon=True)
    writing.start()
    try:
        meter = stream.open_meter(path=os.ttyname(theirs), power=0, baud=57600)
        settings = termios.tcgetattr(theirs)
        assert settings[4] == settings[5] == termios.B57600
        assert not settings[3] & termios.ECHO
        meter.close()
        with pytest.raises(NoMeter, match="no rate of 1234 baud"):
            stream.open_meter(path=os.ttyname(theirs), power=0, baud=1234)
    finally:
        read.set()
        writing.join()
        os.close(ours)
        os.close(theirs)
