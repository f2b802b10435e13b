"""Which recipe is tried next: a pure function of the space, the seed and what is known of earlier trials, so that a
search that was killed goes on as if it had not been.

Optuna proposes: a tree-structured Parzen estimator for several objectives under constraints (Ozaki et al. 2022,
https://doi.org/10.1613/jair.1.13188), or NSGA-II (Deb et al. 2002, https://doi.org/10.1109/4235.996017).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from makeweight.compress import space
from makeweight.compress.space import Choice, Open, OpenRecipe, Range

# Proposals that are drawn anew because they make no sense, or were tried before, until all others are looked through.
_ATTEMPTS = 12
_CORNERS = 512
_RECIPE = "recipe"

Settings = Mapping[str, Any]
"""A recipe as it stands under `variants:`."""


@dataclass(frozen=True)
class Proposal:
    """A recipe, and what was settled for it."""

    settings: Settings
    settled: Mapping[str, Any]
    """By what was open: the label of a choice, or a number."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the sampler wants to know again of this trial."""


@dataclass(frozen=True)
class Known:
    """A trial as the sampler sees it."""

    proposal: Proposal
    objectives: tuple[float, ...] | None
    """All to be made small; None: it is under way."""
    violations: tuple[float, ...] = ()
    """How far each rule is from being held; up to 0: it is."""


@dataclass(frozen=True)
class Sampler:
    """How it is proposed."""

    kind: Literal["tpe", "nsga2"]
    seed: int
    trials: int
    """How many there will be in all: the first of them are drawn blindly."""


Refuse = Callable[[Settings], bool]
"""Whether a recipe is not to be tried."""


class Proposals:
    """The spaces that recipes are proposed from."""

    def __init__(
        self, spaces: Mapping[str, OpenRecipe], takes_list: Callable[[str, str], bool], sampler: Sampler
    ) -> None:
        # imported by now, which takes as long as a short trial: not when the first is waited for
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._spaces, self._takes_list, self._sampler = spaces, takes_list, sampler

    def next(self, known: Sequence[Known], objectives: int, refuse: Refuse, *, whole: bool = False) -> Proposal | None:
        """What to try next; None: the space holds nothing that was not tried.

        Args:
            known: earlier trials, in the order of their numbers.
            whole: prefer a recipe drawn blindly that leaves no step out: what meets a budget that nothing has met is
                seldom one step alone, and to a sampler that has seen only such each of them looks hopeless.
        """
        number, told = len(known), [self._told(each) for each in known]
        for blindly in (True, False) if whole else (False,):
            for attempt in range(_ATTEMPTS):
                seed = _seed(self._sampler.seed, number, attempt)
                found = self._asked(told, objectives, seed, whole=blindly)
                if not refuse(found.settings):
                    return found
        for name, recipe in self._spaces.items():
            of = {} if len(self._spaces) == 1 else {_RECIPE: json.dumps(name)}
            for drawn in space.corners(recipe, self._takes_list, _CORNERS):
                if not refuse(drawn.recipe):
                    return Proposal(drawn.recipe, {**of, **drawn.settled}, found.notes)
        return None

    def _asked(self, told: Sequence[Any], objectives: int, seed: int, *, whole: bool) -> Proposal:
        """What the sampler proposes; or a whole recipe, with a step wherever there may be one and all else of it drawn
        evenly."""
        import optuna
        from optuna.samplers import RandomSampler

        sampler = self._of_optuna(seed)
        study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
        for each in told:
            study.add_trial(each)
        trial = study.ask()
        begun, evenly = study.trials[trial.number], RandomSampler(seed)

        settled: dict[str, Any] = {}

        def ask(what: Open) -> Any:
            if isinstance(what, Choice):
                settled[what.name] = trial.suggest_categorical(what.name, what.labels)
            elif what.whole:
                settled[what.name] = trial.suggest_int(what.name, int(what.low), int(what.high), log=what.log)
            else:
                settled[what.name] = trial.suggest_float(what.name, what.low, what.high, log=what.log)
            if whole:  # the sampler was asked all the same: NSGA-II leaves out a trial that it gave no generation
                among = _distribution(_with_step(what))
                settled[what.name] = evenly.sample_independent(study, begun, what.name, among)
            return settled[what.name]

        settings = self._drawn(ask)
        return Proposal(settings, settled, dict(study.trials[trial.number].system_attrs))

    def _of_optuna(self, seed: int) -> Any:
        import warnings

        from optuna.exceptions import ExperimentalWarning
        from optuna.samplers import NSGAIISampler, TPESampler

        blind = max(3, min(10, self._sampler.trials // 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            if self._sampler.kind == "nsga2":
                return NSGAIISampler(population_size=blind, seed=seed)
            # what is open depends on what was chosen before it, so what goes together is sampled together
            return TPESampler(n_startup_trials=blind, multivariate=True, group=True, seed=seed)

    def _told(self, known: Known) -> Any:
        from optuna.trial import TrialState, create_trial

        distributions: dict[str, Any] = {}

        def ask(what: Open) -> Any:
            distributions[what.name] = _distribution(what)
            return known.proposal.settled[what.name]

        self._drawn(ask)
        settled = {name: known.proposal.settled[name] for name in distributions}
        notes = dict(known.proposal.notes)
        if known.objectives is None:
            state = TrialState.RUNNING
            return create_trial(state=state, params=settled, distributions=distributions, system_attrs=notes)
        return create_trial(
            values=known.objectives,
            params=settled,
            distributions=distributions,
            system_attrs=notes,
            constraints={f"rule {number}": value for number, value in enumerate(known.violations)},
        )

    def _drawn(self, ask: space.Ask) -> Settings:
        names = tuple(self._spaces)
        choice = Choice(_RECIPE, names)
        name = names[0] if len(names) == 1 else choice.read(ask(choice))
        return self._spaces[name].drawn(ask, self._takes_list)


def _with_step(what: Open) -> Open:
    """The same without the value by which a step is left out."""
    if isinstance(what, Range) or what.no_step is None:
        return what
    return replace(what, values=tuple(each for each in what.values if each != what.no_step), no_step=None)


def _distribution(what: Open) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(what, Choice):
        return CategoricalDistribution(what.labels)
    if what.whole:
        return IntDistribution(int(what.low), int(what.high), log=what.log)
    return FloatDistribution(what.low, what.high, log=what.log)


def _seed(seed: int, number: int, attempt: int) -> int:
    """Another one for each proposal, and the same again for the same."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number} {attempt}".encode()).digest()[:4], "big")
