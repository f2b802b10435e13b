"""The instruction sets that decide how fast a compressed model can be; the kernel's names for them."""

TELLING_FLAGS = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16",
    "asimddp", "i8mm", "fphp", "asimdhp", "sve", "sve2", "bf16",
)  # fmt: skip


def telling(flags: str) -> list[str]:
    """Those of a processor's flags, or features, as /proc/cpuinfo has them."""
    return sorted(set(TELLING_FLAGS) & set(flags.split()))
