"""Bad canaries while all around them dies: controllers, exporter, Prometheus and model server are killed (SIGKILL) at
random moments of their rollbacks. More of that, and full disks: `benchmarks/rollback/killed.py`.
"""

from __future__ import annotations

import random
import secrets
import time
from pathlib import Path

from stand import Stand, until

import prometheus
from makeweight_monitors.serving import pointer

NAMES = ("digits", "letters", "numbers", "signs")
ROUNDS = 5
TOGETHER = 2
"""Rounds that one Prometheus sees: it goes on to judge each canary for minutes."""
WITHIN = 4.0
"""Seconds after canaries were let in, in which kills come: the evidence, the decision and the rollback are then."""


def test_twenty_canaries_are_rolled_back_once_beside_twenty_kills(tmp_path: Path, preloaded_monitors: Path) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - with which it can be run again
    chance = random.Random(seed)
    stand = Stand(tmp_path / "stand", prometheus.install(), NAMES, str(preloaded_monitors))
    controllers = chance.choices([model.part for model in stand.models], k=ROUNDS)
    kills = [*controllers, *("exporter", "prometheus", "server") * ROUNDS]
    chance.shuffle(kills)
    changes = []
    try:
        for number in range(1, ROUNDS + 1):
            on_trial = [(model, model.canary(number)) for model in stand.models]
            if number > 1 and number % TOGETHER == 1:
                stand.forget()
            stand.describe([canary for _, canary in on_trial])
            stand.complete()
            epochs = [model.let_in(canary) for model, canary in on_trial]
            began = time.monotonic()
            for moment in sorted(chance.uniform(0, WITHIN) for _ in NAMES):
                time.sleep(max(0.0, began + moment - time.monotonic()))
                killed = kills.pop()
                stand.parts[killed].kill()
                model, canary = chance.choice(on_trial)
                model.alert(canary)
                stand.begin(killed)
            until(lambda: all(pointer.load(model.file).canary is None for model in stand.models))
            changes += [
                pointer.load(model.file).epoch - epoch for model, epoch in zip(stand.models, epochs, strict=True)
            ]
        until(lambda: all(set(model.stages().values()) == {"rolled_back"} for model in stand.models))
        for model in stand.models:
            stand.parts[model.part].kill()
        wanted = {f"{number:064x}": "rolled_back" for number in range(1, ROUNDS + 1)}
        assert [(model.stages(), model.wrong()) for model in stand.models] == [(wanted, "")] * len(NAMES)
        assert changes == [1] * len(NAMES) * ROUNDS
    finally:
        stand.end()
