"""What adb and the programs behind it were seen to say, and what is made of it."""

import pytest

from makeweight.devices.adb_refusals import program_refusal, refusal


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("error: device unauthorized.\n", "it has not allowed this computer to reach it"),
        ("error: no permissions (missing udev rules?); see http://...\n", "this user may not reach it over USB"),
        ("error: insufficient permissions for device: verify udev rules.\n", "this user may not reach it over USB"),
        ("adb: error: failed to copy: No space left on device\n", "it is full"),
        ("error: device '8A1X' not found\n", "there is no device `8A1X`"),
        (
            "error: target doesn't support PTY args -Tt\n",
            "its Android is older than 7, whose adb tells nothing of how a program ended",
        ),
        ("error: closed\n", "error: closed"),
        ("", "the connection was lost"),
    ],
    ids=["shy", "no-permissions", "insufficient", "full", "another", "old", "unknown", "nothing"],
)
def test_what_adb_says_is_told_in_words_that_help(said: str, what: str) -> None:
    told = refusal("pixel", "8A1X", "/data/local/tmp/makeweight", said)
    assert (told.what, told.where) == (what, "device `pixel`")
    assert told.do


def failed(code: int, said: str) -> tuple[str, str | None]:
    told = program_refusal("pixel", "benchmark_model", "/data/local/tmp/makeweight", "arm64-v8a", code, said)
    return told.what, told.do


def test_what_a_program_says_of_an_abi_stays_as_it_said_it() -> None:
    what, do = failed(126, "x: Exec format error\n")
    assert what == "`benchmark_model` is made for another kind of processor"
    assert do == "Take the one for `arm64-v8a`."
    what, do = failed(1, 'CANNOT LINK EXECUTABLE "x": "libc++.so" is of another ABI\n')
    assert what.endswith('lacks a library there: CANNOT LINK EXECUTABLE "x": "libc++.so" is of another ABI')
    assert do == "Name the library with `libraries:`; it is put beside the program."


def test_a_program_that_loaded_a_model_in_vain_is_told_by_its_last_line() -> None:
    assert failed(3, "permission denied\nno delegate\n")[0] == "`benchmark_model` ended with exit code 3: no delegate"
    assert failed(-11, "\n")[0] == "`benchmark_model` ended with signal 11: it said nothing"
