"""What river and whylogs take for one prediction. observe.py runs this where they are installed; one line for each.

    NANOSECONDS<tab>WHAT

river's detectors and whylogs' profile are fed the confidence of the top class; whylogs also the class and the latency.
"""

from __future__ import annotations

from importlib.metadata import version

import pandas
import river.drift
import whylogs
from cost import cost
from whylogs.core import DatasetProfile

ROWS = 1_000


def main() -> None:
    adwin, page = river.drift.ADWIN(), river.drift.PageHinkley()
    profile = DatasetProfile()
    row = {"confidence": 0.7, "class": "3", "latency": 0.002}
    table = pandas.DataFrame([row] * ROWS)
    measured = {
        f"river {version('river')}: PageHinkley.update": cost(lambda: page.update(0.7)),
        f"river {version('river')}: ADWIN.update": cost(lambda: adwin.update(0.7)),
        f"whylogs {version('whylogs')}: a row": cost(lambda: profile.track(row), number=500),
        f"whylogs {version('whylogs')}: a table of {ROWS:,} rows": cost(lambda: whylogs.log(table), ROWS, 3, 5),
    }
    for what, nanoseconds in measured.items():
        print(f"{nanoseconds}\t{what}")


if __name__ == "__main__":
    main()
