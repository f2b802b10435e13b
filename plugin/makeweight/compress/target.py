"""The ratio of what is removed by which so much is left of a network's arithmetic, or of its time on a device.

Both are found alike: copies of the network, not trained, are made as narrow or shallow as each ratio makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from makeweight.budget.quantity import SECONDS, show_limit
from makeweight.compress.examples import Tensors
from makeweight.compress.narrowing import layer_by_layer
from makeweight.compress.stopwatch import Timed
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.runtimes.inputs import call
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.weights import counted

if TYPE_CHECKING:
    from makeweight.compress.latency_limit import LatencyLimit
    from makeweight.compress.prune import PruneOptions

# The largest ratio that is tried, and how often the stretch below it is halved: widths come in multiples, so ratios
# that are closer to each other seldom differ.
MOST = 0.99
_HALVINGS = 7

Pruned = Callable[[float], Any]
"""A copy of the module without that part of it, not trained."""
Form = tuple[tuple[str, ...], tuple[tuple[str, tuple[int, ...]], ...]]

_KEPT = {
    "channel": "layers that make outputs, that are excluded or that have few channels keep them; raise `{aim}`, or "
    "lower `round_to`",
    "block": "no other block can go; raise `{aim}`, or take `structure: channel`",
    "rank": "layers keep their rank where a lower one would be no smaller or multiply more; raise `{aim}`, or lower "
    "`round_to`",
}
"""By the structure that is removed: why no more of it can be, and what to do."""


def aimed(
    options: PruneOptions, latency: Latency | None, pruned: Pruned, subject: Subject, example: Tensors, given: Given
) -> float:
    """The ratio that the options ask for, or that leads to what they ask for.

    Raises:
        RecipeFailed: none does.
        DeviceFailed: the device was lost.
    """
    if options.ratio is not None:
        return options.ratio
    if latency is not None:
        return latency.ratio(pruned, subject, options.structure)
    ratio, left = for_macs(cast(float, options.macs), pruned, subject.source, example, options.structure)
    given.progress.say(f"prune: a ratio of {ratio:.3f} leaves {left:.1%} of the multiply-accumulates")
    return ratio


def least_ratio(reached: Callable[[float], bool]) -> float | None:
    """The least ratio that reaches what is wanted, found by bisection; None: none does.

    Args:
        reached: whether a ratio does. If one does, larger ones do too.
    """
    if not reached(MOST):
        return None
    low, high = 0.0, MOST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def for_macs(
    wanted: float, pruned: Pruned, module: Any, example: Tensors, structure: str = "channel"
) -> tuple[float, float]:
    """The least ratio that leaves no more of the multiply-accumulates than is wanted (a part of them), and what it
    leaves.

    Raises:
        RecipeFailed: no ratio does.
    """
    whole, left = macs(module, example), dict[float, float]()

    def reached(ratio: float) -> bool:
        left[ratio] = macs(pruned(ratio), example) / whole
        return left[ratio] <= wanted

    ratio = least_ratio(reached)
    if ratio is None:
        raise RecipeFailed(
            f"prune: {left[MOST]:.1%} of the multiply-accumulates are left whatever is removed, and `macs` wants at "
            f"most {wanted:.1%}: {_KEPT[structure].format(aim='macs')}"
        )
    return ratio, left[ratio]


class Latency:
    """A latency that is to be reached on a device: the least ratio that does it for sure, and what was measured. Each
    form of the network is measured once; one of which it cannot be told counts as too slow.
    """

    def __init__(
        self, limit: LatencyLimit, given: Given, step: str = "prune", told: Callable[[float], float] = float
    ) -> None:
        """Args:
        step: that aims at it.
        told: from a ratio of what is removed to what the step calls its ratio.
        """
        if given.stopwatch is None:
            raise RecipeFailed(f"{step}: `latency` is measured on a device, and none was handed to the step")
        self._limit, self._stopwatch, self._progress = limit, given.stopwatch, given.progress
        self._step, self._told = step, told
        self._known: dict[Form, Timed] = {}
        self._forms: dict[float, Form] = {}
        self.tries: list[tuple[float, Timed]] = []
        """Ratios, and what they led to."""
        self.note: dict[str, Any] = {"device": given.stopwatch.device.name, "format": str(given.stopwatch.format)}
        """For the manifest."""

    def ratio(self, pruned: Pruned, subject: Subject, structure: str = "channel") -> float:
        """Raises:
        RecipeFailed: it is reached before anything is removed, or whatever is removed.
        DeviceFailed: the device was lost.
        """
        whole = self._timed(0.0, subject, self._limit.max_ratio)
        # a time is held against what the baseline took then, so that each try is judged beside the baseline
        wanted = self._limit.max_ratio or cast(float, self._limit.max) / whole.baseline
        self.note["wanted"] = wanted
        if self._limit.max is not None and not (whole.ratio.below(wanted) or whole.ratio.above(wanted)):
            whole = self._timed(0.0, subject, wanted, again=True)
        told = "" if self._limit.max is None else f"{show_limit(self._limit.max, SECONDS)}, which is "
        asked = f"`latency` wants at most {told}{wanted:.3g}x of it"
        if whole.ratio.below(wanted):
            raise RecipeFailed(
                f"{self._step} changed nothing: before anything is removed the model takes {whole} {self._where}, and "
                f"{asked}; ask for less, or drop the step"
            )

        def reached(ratio: float) -> bool:
            return self._timed(ratio, replace(subject, source=pruned(ratio)), wanted).ratio.below(wanted)

        found = least_ratio(reached)
        if found is None:
            ratio, nearest = min(self.tries, key=lambda tried: tried[1].ratio.value)
            told = (
                ""
                if nearest.ratio.above(wanted)
                else " (too near to the limit to be told from it in the device's `seconds`)"
            )
            raise RecipeFailed(
                f"{self._step}: the nearest to `latency` is {nearest}{told} {self._where}, with a ratio of "
                f"{self._told(ratio):.2f}, and {asked}: {_KEPT[structure].format(aim='latency')}"
            )
        self.note["ratio"] = self._told(found)
        self._found = self._forms[found]
        if slower := [self._told(ratio) for ratio in rising(self.tries)]:
            self.note["slower with more removed"] = slower
            self._progress.say(f"{self._step}: more removed took longer at ratios {slower}; removing less may do")
        return found

    def look_again(self, subject: Subject) -> None:
        """Measure what came of it, where that has not the form that was measured: what matters least may be elsewhere
        once a round has trained."""
        if form_of(subject.source) == self._found:
            return
        timed = self._stopwatch.time(subject, self.note["wanted"])
        self.note["after training"] = timed.plain()
        self._progress.say(f"prune: other channels mattered least after training, and it takes {timed}")

    def _timed(self, ratio: float, subject: Subject, limit: float | None, *, again: bool = False) -> Timed:
        form = self._forms.setdefault(ratio, form_of(subject.source))
        if again or form not in self._known:
            self._known[form] = timed = self._stopwatch.time(subject, limit)
            parameters = counted(subject.source)
            self.tries.append((ratio, timed))
            own = self._told(ratio)
            self.note.setdefault("tries", []).append({"ratio": own, "parameters": parameters, **timed.plain()})
            self._progress.say(f"{self._step}: a ratio of {own:.3f} leaves {parameters:,} parameters and takes {timed}")
        return self._known[form]

    @property
    def _where(self) -> str:
        return f"on device `{self._stopwatch.device.name}`, in {self._stopwatch.format}"


def rising(tries: Sequence[tuple[float, Timed]]) -> list[float]:
    """The ratios at which the network took longer for sure than at a smaller one."""
    inorder = sorted(tries, key=lambda tried: tried[0])
    return [
        ratio
        for index, (ratio, timed) in enumerate(inorder)
        if any(timed.ratio.interval[0] > before.ratio.interval[1] for _, before in inorder[:index])
    ]


def form_of(module: Any) -> Form:
    """What decides how long a network takes: the layers, and the shapes of their weights."""
    return (
        tuple(type(part).__qualname__ for part in module.modules()),
        tuple((name, tuple(weight.shape)) for name, weight in module.named_parameters()),
    )


def macs(module: Any, example: Tensors) -> int:
    """Multiply-accumulates of convolutions, products, attention and recurrences for an example, as PyTorch counts them.

    Raises:
        RecipeFailed: it counts none.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # it knows none of the kernels that do a layer of an encoder, an attention or an LSTM at once
    with (
        layer_by_layer(),
        sdpa_kernel(SDPBackend.MATH),
        _without_onednn(),
        torch.no_grad(),
        FlopCounterMode(display=False) as counter,
    ):
        call(module.eval(), example)
    if not (total := counter.get_total_flops() // 2):
        raise RecipeFailed("prune: PyTorch counts no multiply-accumulates of this module; give `ratio`")
    return int(total)


@contextmanager
def _without_onednn() -> Iterator[None]:
    from torch.backends import mkldnn

    own: Any = mkldnn
    was, own.enabled = own.enabled, False
    try:
        yield
    finally:
        own.enabled = was
