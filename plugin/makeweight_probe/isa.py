"""The instruction sets that decide how fast a compressed model can be; the kernel's names for them."""

from collections.abc import Collection

TELLING_FLAGS = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16",
    "asimddp", "i8mm", "fphp", "asimdhp", "sve", "sve2", "bf16",
)  # fmt: skip
INT8_DOT = ("amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp")
"""Those that multiply bytes and sum the products into 32 bits at once, the fastest first."""
FLOAT16_ARITHMETIC = ("fphp", "asimdhp", "avx512_fp16")
"""Those that compute in float16."""


def telling(flags: str) -> list[str]:
    """Those of a processor's flags, or features, as /proc/cpuinfo has them."""
    return sorted(set(TELLING_FLAGS) & set(flags.split()))


def sums_in_16_bits(isa: Collection[str]) -> bool:
    """Whether a processor with these has nothing but VPMADDUBSW for products of bytes, as x86 without VNNI: it adds up
    two of them in 16 bits, where large ones do not fit."""
    return any(name in isa for name in ("avx2", "avx512f")) and not any(name in isa for name in INT8_DOT)
