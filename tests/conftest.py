"""What all tests share: property tests draw the same examples in every run, and no test is judged by the clock."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import preloaded

# As makeweight itself has it, for torch in the tests' own process and in what they start: threads that wait for each
# other would otherwise spin, and starve beside another worker of pytest's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# The threads of NumPy's OpenBLAS cannot be told to. Two that train scikit-learn's perceptron beside other load took
# more than ten times as long as one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Prometheus and promtool live for seconds, in tests with little data: a quarter of their time went into collecting
# garbage, and with a fifth of that left still a seventh. They collect when they hold as much as this, live or not.
os.environ.setdefault("GOGC", "1600")
os.environ.setdefault("GOMEMLIMIT", "400MiB")
# scikit-learn sets these when it is imported. What is begun after that would have another environment than the
# preloaded commands were begun in, and the real ones would be run (tests/preloaded.py), which take three times as long.
os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "True")
os.environ.setdefault("KMP_INIT_AT_FORK", "FALSE")

# Tests that measure in several workers of pytest would wait for each other, and some of them count what is said.
os.environ.setdefault("MAKEWEIGHT_LOCK", "")

# Fifty examples, the same in every run: a hundred took forty CPU-seconds more.
settings.register_profile("makeweight", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("makeweight")

# Begun in the background of a script, a process is deaf to Ctrl-C, and so is all that it starts: also what these tests
# start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end. Looking through it for garbage took three tenths of the time of collecting,
    and would again and again while the tests run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def preloaded_commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the front of a PATH, whose `makeweight`, `dvc` and `python3` begin with everything imported."""
    with preloaded.shared(tmp_path_factory, "preloaded") as folder:
        yield folder


@pytest.fixture(scope="session")
def preloaded_for_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same, with what it takes to compress a module of PyTorch imported as well."""
    with preloaded.shared(tmp_path_factory, "preloaded-for-modules", preloaded.OF_MODULES) as folder:
        yield folder


@pytest.fixture(scope="session")
def preloaded_monitors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python whose `-m makeweight_monitors` begins with everything imported."""
    with preloaded.shared(tmp_path_factory, "preloaded-monitors", modules=preloaded.MONITORS) as folder:
        yield folder / "python3"
