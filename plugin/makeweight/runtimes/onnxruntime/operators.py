"""Operators by what they cost: the ones that multiply, on integers or on floating point, in the file and optimised."""

from __future__ import annotations

from typing import Any

from makeweight.runtimes.onnxruntime.graphs import attribute

# As ONNX numbers its types.
_UINT8 = 2

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

TABLES = frozenset({"GatherBlockQuantized"})
"""What looks vectors up in tables of integers."""

QUANTIZING = INTEGER | TABLES | {"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"}
"""What only a quantized graph holds."""

COSTLESS = {
    "com.microsoft": frozenset(
        {
            "BiasAdd", "BiasGelu", "BiasSoftmax", "BiasSplitGelu", "DequantizeLinear", "EmbedLayerNormalization",
            "FastGelu", "Gelu", "GroupNorm", "Pad", "QLinearAdd", "QLinearAveragePool", "QLinearConcat",
            "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul", "QLinearReduceMean", "QLinearSigmoid",
            "QLinearSoftmax", "QLinearWhere", "QuantizeLinear", "QuickGelu", "RotaryEmbedding",
            "SimplifiedLayerNormalization", "SkipGroupNorm", "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization", "Trilu", "Unique",
        }
    ),
    "ai.onnx.ml": frozenset(
        {
            "ArrayFeatureExtractor", "Binarizer", "CastMap", "CategoryMapper", "DictVectorizer", "FeatureVectorizer",
            "Imputer", "LabelEncoder", "Normalizer", "OneHotEncoder", "Scaler", "ZipMap",
        }
    ),
}  # fmt: skip
"""What multiplies nothing with weights, of the domains beside ONNX's own. Of all others nobody knows what they do."""


def in_a_byte(node: Any, table: Any) -> int:
    """How many numbers of a table one element of it holds: bytes are packed, ONNX's own types of 4 bits are not."""
    return 8 // attribute(node, "bits", 4) if table.data_type == _UINT8 else 1


def on_integers(model: Any) -> list[bool]:
    """Of each node, whether it is a product of integers, or stands between their quantizers so that it can be one."""
    integers = {output for node in model.graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    return [
        node.op_type in INTEGER or (node.op_type in FLOATING and set(node.input[:2]) <= integers)
        for node in model.graph.node
    ]
