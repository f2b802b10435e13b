"""What rules of advice ask of the facts, each in words and as a pure function."""

from __future__ import annotations

from makeweight.advise.facts import Facts
from makeweight.advise.rule import Condition, Where
from makeweight_probe.isa import FLOAT16_ARITHMETIC, INT8_DOT, sums_in_16_bits

# Below this part of the bytes a technique that reaches no more is not worth a file of its own.
_WORTH = 0.5
# Below so many decibels 8 bits have changed answers so much that a loss of accuracy is likely (a bit is 6 dB).
_CLEAN = 20.0
_8_BITS = ("int8", "int8-dynamic")
"""The rules whose recipe is 8 bits after training, and nothing else; a model suits one of them."""

_DOTS = (frozenset(INT8_DOT), "sums products of bytes", "has no dot products of bytes")
_HALVES = (frozenset(FLOAT16_ARITHMETIC), "computes in float16", "computes in float32 whatever is stored")
ON_DOT_PRODUCTS = Where("with dot products of bytes", *_DOTS)
ON_OTHERS = Where("without these", *_DOTS, absent=True)
ON_FLOAT16 = Where("with arithmetic in float16", *_HALVES)
ON_FLOAT32 = Where("without that", *_HALVES, absent=True)


def overflows(facts: Facts) -> bool:
    """Whether sums of products of 8 bits overflow on a device: ONNX Runtime has them in 16 bits where the processor has
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range")."""
    return facts.model.runtime == "onnxruntime" and any(sums_in_16_bits(device.isa or ()) for device in facts.devices)


def _floating(facts: Facts) -> str | None:
    return "the model computes on integers already" if facts.model.integers else None


def _changes(facts: Facts) -> str | None:
    if not facts.model.finished:
        return None
    return (
        f"a file of {facts.model.runtime} is finished, and its numbers stay as they are (declare the module that it "
        "was exported from: `model.build` and `model.weights`)"
    )


def _module(facts: Facts) -> str | None:
    if facts.model.source == "module":
        return None
    return "the model is a file, and only a PyTorch module can be trained (declare `model.build` and `model.weights`)"


def _trains(facts: Facts) -> str | None:
    if (reason := _module(facts)) is not None:
        return reason
    if facts.data.train is None:
        return f"there are no examples to train on ({facts.absent.get('train', 'no train split')})"
    return None if facts.data.labelled else "the examples to train on have no targets"


def _calibration(facts: Facts) -> str | None:
    if facts.data.calibration:
        return None
    return f"there are no calibration examples ({facts.absent.get('calibration', 'none are declared')})"


def _fixed(facts: Facts) -> str | None:
    return _calibration(facts) if facts.model.suits == "static" else None


def _static(facts: Facts) -> str | None:
    if facts.model.suits == "static":
        return None
    return "attention, recurrences or tables carry this model, whose ranges are better found at run time"


def _dynamic(facts: Facts) -> str | None:
    if facts.model.suits == "dynamic":
        return None
    return "convolutions or plain products carry this model, which are faster with ranges that are fixed"


def _mostly_products(facts: Facts) -> str | None:
    share = facts.model.share("product", "table")
    if share is None:
        return "it is not known in which layers the bytes are"
    return None if share >= _WORTH else f"{share:.0%} of the bytes are in products and tables"


def allowed_drop(facts: Facts) -> float | None:
    """What of the quality may be lost, a fraction; None: no rule that blocks says so."""
    limits = [goal.needed for goal in facts.goals if goal.figure == "drop" and goal.blocking]
    known = [limit for limit in limits if limit is not None]
    return max(0.0, min(known)) if known else None


def lost_in_8_bits(facts: Facts) -> str | None:
    """Whether 8 bits after training were seen to lose more than the budget allows: None; else why not."""
    seen, allowed = facts.sensitivity, allowed_drop(facts)
    made = next((facts.tried[name] for name in _8_BITS if name in facts.tried), None)
    if made is not None and made.drop is not None and allowed is not None:
        if made.drop > allowed:
            return None
        return f"8 bits after training lose {made.drop * 100:.1f} pt on validation, which the budget allows"
    if seen is None:
        return f"what 8 bits lose is not known ({facts.absent.get('sensitivity', 'it was not tried')})"
    if seen.decibels is None or seen.decibels < _CLEAN:
        return None
    return f"8 bits after training keep {seen.decibels:.0f} dB, and nothing shows that they lose too much"


def _usable(facts: Facts) -> str | None:
    seen = facts.sensitivity
    if seen is None or seen.decibels is not None:
        return None
    return f"8 bits after training answer nothing usable on {seen.split}"


def _kept(facts: Facts) -> str | None:
    if lost_in_8_bits(facts) is None:
        return "8 bits lose too much already, and this leaves fewer values"
    return None


def _validated(facts: Facts) -> str | None:
    if facts.data.validation is None:
        return f"there is no validation split ({facts.absent.get('validation', 'none is declared')})"
    if not allowed_drop(facts):
        return "the budget has no `max_drop` above zero to search for"
    return None


def _narrows(facts: Facts) -> str | None:
    if facts.pruning is None:
        return f"channels cannot go: {facts.absent.get('pruning', 'it was not tried')}"
    if facts.pruning.size > 0.95:
        return "hardly any channels can go: layers are too narrow for the multiples that the runtime is fast at"
    return None


def _attends(facts: Facts) -> str | None:
    return None if facts.model.attends else "the model has no attention, and so no repeated blocks that are known"


def _convolves(facts: Facts) -> str | None:
    if not facts.model.layers:
        return "it is not known which layers the model has"
    return None if facts.model.bytes_of("convolution") else "the model has no convolution"


def _compressed(facts: Facts) -> str | None:
    if any(goal.figure == "size_compressed" for goal in facts.goals):
        return None
    return "the budget has no rule on the compressed size, and zeros save nothing else"


def _elsewhere(facts: Facts) -> str | None:
    if facts.model.source == "graph":
        return (
            f"the model is a file of {facts.model.runtime}, and only a PyTorch module can be lowered for another "
            "runtime (declare `model.build` and `model.weights`)"
        )
    return None if facts.runtimes else "no other runtime is installed here"


FLOATING = Condition("the model computes in floating point", _floating)
CHANGES = Condition("a module, or a file that its runtime has in other numbers", _changes)
MODULE = Condition("the source is a PyTorch module", _module)
TRAINS = Condition("a module with labelled examples to train on", _trains, "data")
CALIBRATES = Condition("there are calibration examples", _calibration, "data")
FIXES = Condition("calibration examples, where ranges are fixed by them", _fixed, "data")
USABLE = Condition("8 bits after training answer something usable (tried)", _usable, "tried")
SUITS_STATIC = Condition("convolutions or plain products carry the model", _static)
SUITS_DYNAMIC = Condition("attention, recurrences or tables carry the model", _dynamic)
LOSES = Condition("8 bits after training lose more than the budget allows", lost_in_8_bits, "tried")
KEEPS = Condition("8 bits after training were not seen to lose too much", _kept, "tried")
VALIDATES = Condition("a validation split and a `max_drop` above zero", _validated, "data")
NARROWS = Condition("channels can be removed (tried)", _narrows, "tried")
ATTENDS = Condition("the model has attention", _attends)
CONVOLVES = Condition("the model has convolutions", _convolves)
ASKS_COMPRESSED = Condition("the budget limits the compressed size", _compressed)
ELSEWHERE = Condition("a module, and another runtime is installed", _elsewhere)
MOSTLY_PRODUCTS = Condition(f"at least {_WORTH:.0%} of the bytes are in products and tables", _mostly_products)
