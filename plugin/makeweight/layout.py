"""Where things lie in a model repository. DVC's stages name the same places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFIG = "makeweight.yaml"
SCHEMA = "makeweight.schema.json"
PIPELINE = "dvc.yaml"
LOCK = "dvc.lock"
BASELINE = "baseline"
OWN = ".makeweight"
"""The folder of what makeweight keeps for itself; git is told to ignore it."""
TRAININGS = "trainings"
"""In it, the folder of what trainings have reached that did not come to their end."""
SEARCH = "search"
"""In it, the folder of what searches have tried."""
UNFINISHED = (TRAININGS, SEARCH)
"""What in it somebody goes on with."""


@dataclass(frozen=True)
class Layout:
    """The files of one project, by what they hold. `variant` may be `baseline` wherever it has a counterpart."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / CONFIG

    @property
    def schema(self) -> Path:
        """The JSON Schema that the first line of a makeweight.yaml names, for editors."""
        return self.root / SCHEMA

    @property
    def pipeline(self) -> Path:
        return self.root / PIPELINE

    def artifact(self, variant: str) -> Path:
        """The folder of a model file and its manifest (a cached DVC output)."""
        return self.root / "artifacts" / variant

    @property
    def inputs(self) -> Path:
        """Real evaluation samples that every benchmark is fed with."""
        return self.artifact(BASELINE) / "inputs.npz"

    @property
    def raw(self) -> Path:
        """The raw samples that pipelines begin with, where one is declared."""
        return self.artifact(BASELINE) / "raw.npz"

    def outcomes(self, variant: str) -> Path:
        """What a model answered, example by example; decisions about accuracy replay from it."""
        return self.root / "samples" / variant / "evaluate.npz"

    def flips(self, variant: str) -> Path:
        """The folder of flipped examples: `flips.json` and, where inputs are images, one PNG each."""
        return self.root / "samples" / variant / "flips"

    def curves(self, variant: str) -> Path:
        """The folder of the curves of a variant's training, for `dvc plots`; where nothing trains, a file says so."""
        return self.root / "samples" / variant / "training"

    def trainings(self, variant: str) -> Path:
        """The folder of what a variant's trainings have reached; none once it is made."""
        return self.root / OWN / TRAININGS / variant

    @property
    def attempts(self) -> Path:
        """The folder of what is noted of benchmarks that did not come to their end."""
        return self.root / OWN / "attempts"

    def attempt(self, variant: str, device: str) -> Path:
        return self.attempts / variant / f"{device}.json"

    def timings(self, variant: str, device: str) -> Path:
        """Raw samples of a benchmark; decisions about latency replay from it."""
        return self.root / "samples" / variant / f"{device}.npz"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def evaluation(self, variant: str) -> Path:
        return self.reports / variant / "evaluate.json"

    def reference(self, variant: str) -> Path:
        """What the monitors compare production with."""
        return self.reports / variant / "reference.json"

    def benchmark(self, variant: str, device: str) -> Path:
        return self.reports / variant / f"{device}.json"

    def device(self, device: str) -> Path:
        """A device's identity: part of the key of every benchmark on it."""
        return self.reports / "devices" / f"{device}.json"

    @property
    def verdict(self) -> Path:
        return self.reports / "verdict.json"

    @property
    def markdown(self) -> Path:
        return self.reports / "report.md"

    @property
    def html(self) -> Path:
        return self.reports / "report.html"

    @property
    def card(self) -> Path:
        """The model card of what ships: one file, so that no variant keeps a card of its time."""
        return self.reports / "model-card.md"

    @property
    def search(self) -> Path:
        """The folder of what a search tried and found."""
        return self.reports / "search"

    @property
    def shipped(self) -> Path:
        """The folder of what the verdict chose, from which it is deployed (a cached DVC output that is kept)."""
        return self.root / "shipped"

    @property
    def history(self) -> Path:
        """The folder of the badge and of the chart over commits: what git tells already, drawn."""
        return self.reports / "history"

    def plot(self, name: str) -> Path:
        """Rows for `dvc plots`."""
        return self.reports / "plots" / name
