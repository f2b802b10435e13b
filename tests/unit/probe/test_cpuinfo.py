"""What a processor is called, and whether another imitates it, from /proc/cpuinfo as several architectures have it."""

from __future__ import annotations

import pytest

from makeweight_probe import cpuinfo

ARM = {"processor": "0", "CPU implementer": "0x41", "CPU part": "0xd0b"}


@pytest.mark.parametrize(
    ("told", "called"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC 7763\n\nprocessor\t: 1\nmodel name\t: another\n", "AMD EPYC 7763"),
        ("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0b\n", "Arm 0xd0b by 0x41"),
        ("processor\t: 0\nhart\t: 2\nisa\t: rv64imafdc\nuarch\t: sifive,u74-mc\n", "sifive,u74-mc"),
        ("system type : generic\nModel Name : Loongson-3A5000\n", "Loongson-3A5000"),
        ("processor : 0\ncpu : POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("processor : 0\nBogoMIPS : 50\n", None),
        ("", None),
    ],
    ids=["x86", "arm", "riscv", "loongarch", "power", "silent", "none"],
)
def test_a_processor_is_called_as_its_architecture_has_it(told: str, called: str | None) -> None:
    assert cpuinfo.name(cpuinfo.fields(told)) == called


@pytest.mark.parametrize(
    ("machine", "cpu", "modalias", "imitated"),
    [
        ("x86_64", {"vendor_id": "GenuineIntel"}, "cpu:type:x86,ven0000fam0006mod008F:feature:,0000", False),
        ("aarch64", ARM, "cpu:type:aarch64:feature:,0000,0001", False),
        ("armv7l", ARM, "cpu:type:aarch64:feature:,0000,0001", False),
        ("s390x", {"vendor_id": "IBM/S390"}, None, False),
        ("riscv64", {"uarch": "sifive,u74-mc"}, None, False),
        ("arm64", {}, None, False),
        ("aarch64", {"vendor_id": "GenuineIntel"}, None, True),
        ("aarch64", ARM, "cpu:type:x86,ven0002fam0019mod0001:feature:,0000", True),
        ("armv7l", {"vendor_id": "AuthenticAMD"}, "cpu:type:x86,ven0002fam0019mod0001:feature:,0000", True),
        ("x86_64", ARM, "cpu:type:aarch64:feature:,0000,0001", True),
        ("x86_64", ARM, None, True),
        ("x86_64", {"vendor_id": "VirtualApple", "model name": "VirtualApple @ 2.50GHz processor"}, None, True),
        ("x86_64", {"vendor_id": "AuthenticAMD", "model name": "QEMU TCG CPU version 2.5+"}, None, True),
        ("riscv64", {}, "cpu:type:x86,ven0002fam0019mod0001:feature:,0000", True),
    ],
    ids=[
        "x86", "arm", "arm-of-32-bits", "s390", "riscv", "mac", "arm-on-intel", "arm-with-cpuinfo-of-its-own",
        "arm-on-amd", "x86-container-on-arm", "x86-container-on-silent-arm", "rosetta", "qemu-that-translates",
        "riscv-on-amd",
    ],
)  # fmt: skip
def test_a_processor_that_another_imitates_is_told(
    machine: str, cpu: dict[str, str], modalias: str | None, imitated: bool
) -> None:
    """What qemu-user, and a container made for another architecture, show of the machine beneath: its /sys, and its
    /proc/cpuinfo where none is made up."""
    assert cpuinfo.imitated(machine, cpu, modalias) is imitated


def test_an_x86_program_on_arm_has_none_of_arms_instructions() -> None:
    assert cpuinfo.flags("x86_64", {**ARM, "Features": "asimd asimddp"}, imitated=True) == ""
    assert cpuinfo.flags("aarch64", {**ARM, "Features": "asimd asimddp"}, imitated=False) == "asimd asimddp"
