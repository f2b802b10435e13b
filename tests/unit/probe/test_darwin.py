"""What a Mac says of itself, from what sysctl prints there."""

import platform

import pytest

from makeweight_probe import darwin

M2 = """\
machdep.cpu.brand_string: Apple M2 Pro
hw.model: Mac14,9
sysctl.proc_translated: 0
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_BF16: 0
"""


def test_a_mac_by_what_sysctl_prints() -> None:
    assert darwin.identity(darwin.parsed(M2)) == {
        "cpu": "Apple M2 Pro", "model": "Mac14,9", "isa": ["asimddp", "i8mm"], "emulated": False,
    }  # fmt: skip
    translated = darwin.parsed(M2.replace("translated: 0", "translated: 1"))
    assert darwin.identity(translated)["emulated"]


def test_what_is_not_told_is_left_to_others() -> None:
    """One of Intel's knows nothing of Rosetta, and fails for that."""
    told = darwin.parsed("machdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H\nhw.optional.avx2_0: 1\n")
    assert darwin.identity(told) == {"cpu": "Intel(R) Core(TM) i7-9750H", "isa": ["avx2"], "emulated": False}
    assert darwin.identity({}) == {"isa": [], "emulated": False}


def test_no_other_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert darwin.told_here() is None
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(darwin, "_SYSCTL", "/no/such/sysctl")
    assert darwin.told_here() is None
