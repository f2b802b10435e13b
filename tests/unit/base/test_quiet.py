"""Libraries' chatter is dropped, and nothing else changes."""

import logging
import sys
import warnings

import pytest

from makeweight_base.quiet import quiet


def test_prints_warnings_and_records_are_dropped(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    with quiet():
        sys.stdout.write("to stdout")
        sys.stderr.write("to stderr")
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("torch.onnx").error("a record")
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    assert not recwarn.list


def test_speech_and_logging_are_as_before(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    handlers, level = list(logging.root.handlers), logging.root.level
    with quiet():
        logging.root.addHandler(logging.NullHandler())
        logging.root.setLevel(logging.DEBUG)
    assert logging.root.handlers == handlers
    assert logging.root.level == level
    sys.stdout.write("heard\n")
    logging.getLogger("ours").warning("heard too")
    assert capsys.readouterr().out == "heard\n"
    assert [record.message for record in caplog.records] == ["heard too"]


def test_exceptions_leave() -> None:
    with pytest.raises(ZeroDivisionError), quiet():
        _ = 1 / 0
    assert logging.root.manager.disable == logging.NOTSET
