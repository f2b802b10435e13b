"""The rules of advice: a table that is read by people and ranked by `ranking.py`. docs/advice.md shows it.

Ranges span what the sources report and what our own pages measured: of small networks on one thread of a processor, and
no promise. Each is of what a rule reaches; what that is of the whole model, `expected.py` says.
"""

from __future__ import annotations

from makeweight.advise.conditions import (
    ASKS_COMPRESSED,
    ATTENDS,
    CALIBRATES,
    CHANGES,
    CONVOLVES,
    ELSEWHERE,
    FIXES,
    FLOATING,
    KEEPS,
    LOSES,
    MOSTLY_PRODUCTS,
    NARROWS,
    ON_DOT_PRODUCTS,
    ON_FLOAT16,
    ON_FLOAT32,
    ON_OTHERS,
    SUITS_DYNAMIC,
    SUITS_STATIC,
    TRAINS,
    USABLE,
    VALIDATES,
    allowed_drop,
    overflows,
)
from makeweight.advise.facts import Facts
from makeweight.advise.rule import Effect, Recipe, Rule, Source
from makeweight.runtimes.runtime import LayerKind

_WEIGHED: tuple[LayerKind, ...] = ("convolution", "product", "table", "recurrence")
_ALL: tuple[LayerKind, ...] = (*_WEIGHED, "other")

TECHNIQUES = Source("what each technique gains", "docs/techniques.md")
PEERS = Source("beside its peers", "docs/peers.md")
SENTENCES = Source("examples/sentences", "examples/sentences/README.md")
_WHITE_PAPER = Source(
    "Nagel et al. 2021, A White Paper on Neural Network Quantization", "https://arxiv.org/abs/2106.08295"
)
_ORT = Source(
    "ONNX Runtime: Quantize ONNX models",
    "https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html",
)
_XNNPACK = Source("ExecuTorch: XNNPACK backend", "https://docs.pytorch.org/executorch/stable/backends-xnnpack.html")
_LITERT = Source(
    "LiteRT: Post-training quantization", "https://ai.google.dev/edge/litert/models/post_training_quantization"
)
_KRISHNAMOORTHI = Source(
    "Krishnamoorthi 2018, Quantizing deep convolutional networks", "https://arxiv.org/abs/1806.08342"
)
_JACOB = Source(
    "Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    "https://arxiv.org/abs/1712.05877",
)
_GPTQ = Source("Frantar et al. 2022, GPTQ", "https://arxiv.org/abs/2210.17323")
_HINTON = Source("Hinton et al. 2015, Distilling the Knowledge in a Neural Network", "https://arxiv.org/abs/1503.02531")
_POLINO = Source(
    "Polino et al. 2018, Model compression via distillation and quantization", "https://arxiv.org/abs/1802.05668"
)
_DISTILBERT = Source("Sanh et al. 2019, DistilBERT", "https://arxiv.org/abs/1910.01108")
_DEPGRAPH = Source("Fang et al. 2023, DepGraph: Towards Any Structural Pruning", "https://arxiv.org/abs/2301.12900")
_DEEP = Source("Han et al. 2016, Deep Compression", "https://arxiv.org/abs/1510.00149")
_ZHU = Source("Zhu and Gupta 2017, To prune, or not to prune", "https://arxiv.org/abs/1710.01878")
_NAGEL = Source(
    "Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction",
    "https://arxiv.org/abs/1906.04721",
)
_GIRSHICK = Source("Girshick 2015, Fast R-CNN (truncated SVD of its linear layers)", "https://arxiv.org/abs/1504.08083")
_ALBERT = Source("Lan et al. 2020, ALBERT (factorized embeddings)", "https://arxiv.org/abs/1909.11942")
_DENTON = Source(
    "Denton et al. 2014, Exploiting Linear Structure Within Convolutional Networks", "https://arxiv.org/abs/1404.0736"
)

_TRAINING = {"epochs": 4, "teacher": "baseline"}
# Whatever gave the weights their values: what 8 bits do to convolutions and products.
_IN_8_BITS = (
    Effect("size", 0.25, 0.29, each=1500),
    Effect("size_compressed", 0.2, 0.32),
    Effect("latency", 0.35, 0.8, ON_DOT_PRODUCTS),
    Effect("latency", 0.5, 1.15, ON_OTHERS),
    Effect("peak_memory", 0.35, 1.05),
)
# The same of a network with half of its channels.
_NARROW_IN_8_BITS = (
    Effect("size", 0.25, 0.32, each=1500),
    Effect("size_compressed", 0.2, 0.34),
    Effect("latency", 0.45, 0.9, ON_DOT_PRODUCTS),
    Effect("latency", 0.6, 1.15, ON_OTHERS),
    Effect("parameters", 0.98, 1.02),
    Effect("macs", 0.98, 1.02),
    Effect("peak_memory", 0.3, 1.0),
)
# How a runtime has weights of 4 bits, where it does not have them alone in groups of 32.
_FOUR_BITS = {
    "litert": {"method": "weights", "bits": 4, "group": "channel"},
    "executorch": {"method": "dynamic", "bits": 4, "group": 32},
}


def _steps(*steps: object) -> Recipe:
    return {"steps": list(steps)}


def _last(facts: Facts) -> Recipe:
    """Integers as the last step, after whatever changed the model."""
    return _integers(facts.model.suits, facts)


def _integers(method: str, facts: Facts, **more: str | bool) -> Recipe:
    """Weights of 7 bits where sums of products of 8 would overflow."""
    return {"quantize": {"method": method, **({"bits": 7} if overflows(facts) else {}), **more}}


def _four_bits(facts: Facts) -> Recipe:
    alone = {"method": "weights", "bits": 4, **({"rounding": "gptq"} if facts.data.calibration else {})}
    return _steps({"quantize": _FOUR_BITS.get(facts.model.runtime, alone)})


def _with_exceptions(facts: Facts) -> Recipe:
    drop = allowed_drop(facts) or 0.01
    return _steps(_integers("static", facts, max_drop=f"{drop * 100:g} pt"))


def _elsewhere(facts: Facts) -> Recipe:
    runtime = facts.runtimes[0] if facts.runtimes else facts.model.runtime
    return {"runtime": runtime, **_steps({"quantize": {"method": facts.model.suits}})}


RULES: tuple[Rule, ...] = (
    Rule(
        "int8",
        "8-bit weights and activations after training, with ranges from calibration examples",
        "nothing is trained, a byte in place of four, and processors multiply bytes faster",
        (FLOATING, CHANGES, CALIBRATES, SUITS_STATIC, USABLE),
        ("convolution", "product"),
        lambda facts: _steps(_integers("static", facts)),
        "seconds",
        (*_IN_8_BITS, Effect("drop", -0.001, 0.01)),
        (_WHITE_PAPER, _KRISHNAMOORTHI, _ORT, TECHNIQUES, PEERS),
        "depthwise convolutions and layers with outliers lose more; without dot products of bytes it can be slower",
    ),
    Rule(
        "int8-dynamic",
        "8-bit weights and activations after training, with ranges found at each inference",
        "it needs no examples, reaches products, recurrences and tables of vectors, and follows inputs of any length",
        (FLOATING, CHANGES, SUITS_DYNAMIC, USABLE),
        ("product", "recurrence", "table"),
        lambda facts: _steps(_integers("dynamic", facts)),
        "seconds",
        (
            Effect("size", 0.25, 0.29, each=700),
            Effect("size_compressed", 0.2, 0.32),
            Effect("latency", 0.4, 1.0, ON_DOT_PRODUCTS),
            Effect("latency", 0.6, 1.15, ON_OTHERS),
            Effect("peak_memory", 0.35, 1.05),
            Effect("drop", -0.002, 0.01),
        ),
        (_ORT, _LITERT, SENTENCES),
        "finding ranges costs time at each inference: small products gain none; no convolution is reached",
    ),
    Rule(
        "int4-weights",
        "weights of products and tables in 4 bits, in groups with a scale each; activations stay in floating point",
        "at a batch of one a product waits for its weights, and an eighth of the bytes is read in less time",
        (FLOATING, CHANGES, MOSTLY_PRODUCTS),
        ("product", "table"),
        _four_bits,
        "seconds",
        (
            Effect("size", 0.14, 0.17, each=300),
            Effect("size_compressed", 0.13, 0.19),
            Effect("latency", 0.45, 1.4),
            Effect("peak_memory", 0.3, 1.05),
            Effect("drop", -0.002, 0.03),
        ),
        (_GPTQ, _WHITE_PAPER, _ORT),
        "small matrices lose more accuracy than large ones; where weights fit the caches, unpacking them takes time",
    ),
    Rule(
        "float16",
        "weights, and where the processor can activations, in float16",
        "half the bytes at hardly any loss; faster only where the processor computes in it",
        (FLOATING, CHANGES),
        _ALL,
        lambda _: _steps("float16"),
        "seconds",
        (
            Effect("size", 0.5, 0.52, each=400),
            Effect("size_compressed", 0.47, 0.55),
            Effect("latency", 0.5, 1.05, ON_FLOAT16),
            Effect("latency", 0.99, 1.3, ON_FLOAT32),
            Effect("drop", -0.0005, 0.001),
        ),
        (TECHNIQUES, _LITERT),
        "no speed where the processor has no float16 arithmetic; values beyond 65504 overflow",
    ),
    Rule(
        "int8-mixed",
        "8 bits after training, with as few layers in floating point as the accuracy takes",
        "mostly a few layers lose most of what is lost; each is tried alone on the validation split",
        (FLOATING, CHANGES, CALIBRATES, SUITS_STATIC, LOSES, VALIDATES),
        ("convolution", "product"),
        _with_exceptions,
        "minutes",
        (
            Effect("size", 0.25, 0.6, each=1500),
            Effect("latency", 0.4, 1.0, ON_DOT_PRODUCTS),
            Effect("latency", 0.65, 1.15, ON_OTHERS),
            Effect("drop", -0.001, 0.01),
        ),
        (_WHITE_PAPER, _ORT),
        "each layer in floating point costs bytes and conversions between numbers",
    ),
    Rule(
        "int8-corrected",
        "8 bits after training, with the ranges of least squared error, and biases that make up for shifted means",
        "outliers and shifted means are mostly what 8 bits lose by, of depthwise convolutions above all",
        (FLOATING, CHANGES, CALIBRATES, SUITS_STATIC, USABLE, LOSES),
        ("convolution", "product"),
        lambda facts: _steps(_integers("static", facts, calibrate="mse", correct_bias=True)),
        "minutes",
        (*_IN_8_BITS, Effect("drop", -0.001, 0.03)),
        (_NAGEL, _WHITE_PAPER, TECHNIQUES),
        "the calibration examples are run once more for each layer; what single layers lose otherwise is not won back",
    ),
    Rule(
        "int8-aware",
        "training with the rounding that 8 bits have, before the model is lowered in them",
        "weights move to where rounding costs less: what is tried when 8 bits after training lose too much",
        (FLOATING, TRAINS, CALIBRATES, SUITS_STATIC, LOSES),
        ("convolution", "product"),
        lambda _: _steps({"qat": {"epochs": 3, "teacher": "baseline"}}),
        "training",
        (*_IN_8_BITS, Effect("drop", -0.005, 0.005)),
        (_JACOB, _WHITE_PAPER, TECHNIQUES),
        "epochs of training at two to three times their usual price, for the bytes and the time that 8 bits have",
    ),
    Rule(
        "int8-elsewhere",
        "the same 8 bits on another runtime",
        "one int8 network differs by half in its time from one runtime to the next, and the bytes are alike",
        (FLOATING, ELSEWHERE, CALIBRATES, SUITS_STATIC, CONVOLVES),
        ("convolution", "product"),
        _elsewhere,
        "minutes",
        (
            Effect("size", 0.25, 0.3, each=700),
            Effect("latency", 0.35, 0.75, ON_DOT_PRODUCTS),
            Effect("latency", 0.4, 1.2, ON_OTHERS),
            Effect("peak_memory", 0.2, 1.0),
            Effect("drop", -0.002, 0.015),
        ),
        (_XNNPACK, _LITERT),
        "another runtime has to be shipped and served; its operators may differ",
        moves=True,
    ),
    Rule(
        "slim-int8",
        "half of every layer's channels removed in rounds, trained again with the baseline as teacher, then 8 bits",
        "fewer channels are fewer products at any precision: what brings latency further down than integers alone",
        (FLOATING, TRAINS, FIXES, NARROWS),
        _ALL,
        lambda facts: _steps(
            {"prune": {"ratio": 0.5, "rounds": 2, "epochs": 2}}, {"finetune": _TRAINING}, _last(facts)
        ),
        "long training",
        (*_NARROW_IN_8_BITS, Effect("drop", 0.0, 0.08)),
        (_DEPGRAPH, TECHNIQUES, PEERS),
        "small networks lose points that short training does not win back; fewer products are not as much less time",
        narrows=True,
    ),
    Rule(
        "student-int8",
        "a student with half of every layer's channels learns what the baseline answers, then 8 bits",
        "a teacher's answers say more than labels: more accuracy at a small size than from labels alone",
        (FLOATING, TRAINS, FIXES, NARROWS),
        _ALL,
        lambda facts: _steps({"distill": {"width": 0.5, "epochs": 8}}, _last(facts)),
        "long training",
        (*_NARROW_IN_8_BITS, Effect("drop", -0.002, 0.08)),
        (_HINTON, _POLINO),
        "as long a training as the baseline's own, for the best result",
        narrows=True,
    ),
    Rule(
        "shallow-int8",
        "half of the repeated blocks kept, taught by all of them, then 8 bits",
        "blocks of a transformer repeat each other: half of them is half the time, whatever the numbers are",
        (FLOATING, TRAINS, ATTENDS),
        ("product", "table"),
        lambda facts: _steps({"distill": {"depth": 0.5, "epochs": 3, "lr": 0.0005}}, _last(facts)),
        "long training",
        (
            Effect("size", 0.12, 0.28, each=700, beside={"table": (0.25, 0.28)}),
            Effect("size_compressed", 0.1, 0.3, beside={"table": (0.2, 0.3)}),
            Effect("latency", 0.25, 0.8, ON_DOT_PRODUCTS),
            Effect("latency", 0.4, 0.9, ON_OTHERS),
            Effect("peak_memory", 0.3, 1.0),
            Effect("drop", -0.005, 0.03),
        ),
        (_DISTILBERT, SENTENCES),
        "a training of hours for large models; tables of words keep their size",
    ),
    Rule(
        "low-rank",
        "two thin products in place of a wide one, or a thin table and a product, then 8 bits; nothing is trained",
        "one huge layer, or a table of many words, often says nearly the same with a fraction of its numbers",
        (FLOATING, CHANGES, FIXES, MOSTLY_PRODUCTS, KEEPS),
        ("product", "table"),
        lambda facts: _steps({"factorize": {"energy": 0.95}}, _last(facts)),
        "minutes",
        (
            Effect("size", 0.08, 0.29, each=2500),
            Effect("latency", 0.3, 1.0, ON_DOT_PRODUCTS),
            Effect("latency", 0.45, 1.15, ON_OTHERS),
            Effect("macs", 0.3, 1.0),
            Effect("parameters", 0.3, 1.0),
            Effect("drop", -0.002, 0.08),
        ),
        (_GIRSHICK, _DENTON),
        "what many layers lose by it adds up without training; where the ranks are full, nothing is saved",
    ),
    Rule(
        "low-rank-int8",
        "two thin products in place of a wide one, or a thin table and a product, trained further, then 8 bits",
        "wide products and tables often say nearly the same with fewer numbers, and thin ones take less time",
        (FLOATING, TRAINS, FIXES, MOSTLY_PRODUCTS),
        ("product", "table"),
        lambda facts: _steps({"factorize": {"energy": 0.9}}, {"finetune": _TRAINING}, _last(facts)),
        "training",
        (
            Effect("size", 0.08, 0.29, each=2500),
            Effect("latency", 0.25, 1.0, ON_DOT_PRODUCTS),
            Effect("latency", 0.4, 1.15, ON_OTHERS),
            Effect("macs", 0.3, 1.0),
            Effect("parameters", 0.3, 1.0),
            Effect("drop", -0.005, 0.03),
        ),
        (_DENTON, _ALBERT, TECHNIQUES),
        "where the ranks are full, nothing is saved, and the recipe says so",
    ),
    Rule(
        "shared-int8",
        "weights that share 16 values a layer, trained further; the file holds 4-bit indices",
        "half of what 8 bits take, at their speed: for a size that integers alone do not reach",
        (FLOATING, TRAINS, CALIBRATES, SUITS_STATIC),
        ("convolution", "product"),
        lambda facts: _steps({"cluster": {"bits": 4}}, {"finetune": _TRAINING}, _integers("static", facts)),
        "training",
        (
            Effect("size", 0.13, 0.18, each=2200),
            Effect("size_compressed", 0.11, 0.2),
            Effect("latency", 0.35, 0.85, ON_DOT_PRODUCTS),
            Effect("latency", 0.6, 1.15, ON_OTHERS),
            Effect("drop", -0.005, 0.01),
        ),
        (_DEEP, TECHNIQUES),
        "tables are unfolded when the model is loaded: no memory and no time is saved beyond what 8 bits save",
    ),
    Rule(
        "shared",
        "weights that share 16 values a layer, found by k-means; the file holds 4-bit indices",
        "an eighth of the bytes without training, also of convolutions, which 4-bit weights in groups do not reach",
        (FLOATING, CHANGES, KEEPS),
        _WEIGHED,
        lambda _: _steps({"cluster": {"bits": 4}}),
        "seconds",
        (
            Effect("size", 0.125, 0.17, each=1500),
            Effect("size_compressed", 0.11, 0.2),
            Effect("latency", 0.95, 1.1),
            Effect("drop", 0.0, 0.05),
        ),
        (_DEEP, TECHNIQUES),
        "no speed; without training it loses more than 8 bits do",
    ),
    Rule(
        "sparse",
        "seven of ten weights zero, in rounds of training",
        "zeros compress well on the way to the device",
        (FLOATING, TRAINS, ASKS_COMPRESSED),
        _WEIGHED,
        lambda _: _steps({"sparsify": {"sparsity": 0.7, "rounds": 2, "epochs": 1}}, {"finetune": _TRAINING}),
        "training",
        (
            Effect("size_compressed", 0.35, 0.5),
            Effect("size", 1.0, 1.0),
            Effect("latency", 0.98, 1.05),
            Effect("drop", -0.005, 0.01),
        ),
        (_ZHU, _DEEP),
        "the file stays as large, and inference as slow: runtimes multiply with zeros too",
    ),
)
"""In the order in which they are read; `ranking.py` decides which is first for a model."""
