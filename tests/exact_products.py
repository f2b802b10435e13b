"""What a quantized graph says, on whatever processor: x86 without VNNI adds up products of bytes in 16 bits, where
large ones do not fit, unless ONNX Runtime is told to be exact."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def exact_products() -> Iterator[None]:
    """https://github.com/microsoft/onnxruntime, onnxruntime_session_options_config_keys.h"""
    import onnxruntime

    class Exact(onnxruntime.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.add_session_config_entry("session.x64quantprecision", "1")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "SessionOptions", Exact)
        yield
