"""Operators by what they cost: the ones that multiply, on integers or on floating point, in the file and optimised."""

from __future__ import annotations

FLOATING = frozenset(
    {
        "Attention", "Conv", "ConvTranspose", "DeformConv", "Einsum", "FusedConv", "FusedGemm", "FusedMatMul",
        "FusedMatMulActivation", "GRU", "Gemm", "LSTM", "MatMul", "MultiHeadAttention", "NhwcFusedConv", "RNN",
        "TransposeMatMul",
    }
)  # fmt: skip
"""Convolutions, products and recurrences on floating point."""

INTEGER = frozenset(
    {
        "ConvInteger", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulInteger16",
        "MatMulIntegerToFloat", "MatMulNBits", "QAttention", "QGemm", "QLinearConv", "QLinearConvTranspose",
        "QLinearMatMul",
    }
)  # fmt: skip
"""The same on integers, or with integer weights."""

QUANTIZING = INTEGER | {"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"}
"""What only a quantized graph holds."""
