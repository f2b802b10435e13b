"""What the trainings of a recipe have reached, on disk until it is made: one that was killed goes on from its last
epoch, and one that an equal step of another variant did already is not done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from makeweight.artifact.files import sha256_of
from makeweight.artifact.versions import versions
from makeweight.compress.reproducible import THREADS
from makeweight.measure.inference import at_once
from makeweight.user.arrays import Arrays
from makeweight.user.digest import Digest
from makeweight_base import atomic

if TYPE_CHECKING:
    from makeweight.compress.recipe import Variant
    from makeweight.compress.training_options import TrainingOptions
    from makeweight.user.declared import Declared
    from makeweight.user.split import Split

# Characters of a hash that stand for all of it: 64 bits.
_SHOWN = 16
# Examples by which data are known again that are no whole arrays.
_SOME = 2


@runtime_checkable
class Stateful(Protocol):
    """What changes in training, as PyTorch's modules and optimizers have it."""

    def state_dict(self) -> Mapping[str, Any]:
        """Tensors and plain data."""

    def load_state_dict(self, state: Any, /) -> Any: ...


Watch = Callable[[str, Sequence[Mapping[str, float]]], None]
"""Hears after each epoch, once it is kept, which training it is of and the figures of all its epochs; and those of an
earlier run where one is taken up again. What it raises ends the training there, and a later one takes it up again."""


@dataclass(frozen=True)
class Checkpoint:
    """One training's."""

    path: Path | None
    """None: nothing is kept."""
    name: str = ""
    """Of the training, among those of a recipe."""
    watch: Watch | None = None

    def restore(self, parts: Mapping[str, Stateful]) -> bool:
        """Put all back as it was after the last epoch that was kept; whether there was one. What cannot be read counts
        for nothing."""
        import torch

        if self.path is None or not self.path.is_file():
            return False
        try:
            # tensors and plain data alone: a file is no reason to run what it names
            states = torch.load(self.path, weights_only=True)
        except Exception:  # noqa: BLE001 - a damaged file raises whatever its bytes lead to
            return False
        if states.keys() != parts.keys():
            return False
        for name, part in parts.items():
            part.load_state_dict(states[name])
        return True

    def keep(self, parts: Mapping[str, Stateful], figures: Sequence[Mapping[str, float]] = ()) -> None:
        """Args:
            figures: of each epoch until now.

        Raises:
            EnvironmentFailed: the disk is full or not writable.
        """
        import torch

        if self.path is not None:
            with atomic.replacing(self.path) as place:
                torch.save({name: part.state_dict() for name, part in parts.items()}, place)
        self.tell(figures)

    def tell(self, figures: Sequence[Mapping[str, float]]) -> None:
        """Have the watch hear of these."""
        if self.watch is not None:
            self.watch(self.name, figures)


@dataclass
class Checkpoints:
    """Of the trainings at one place of a recipe, or of its control."""

    folder: Path | None = None
    """None: nothing is kept."""
    origin: str = ""
    """See `origin`."""
    place: str = ""
    """See `places`."""
    watch: Watch | None = None
    _begun: int = field(default=0, init=False)

    def at(self, place: str) -> Checkpoints:
        return Checkpoints(self.folder, self.origin, place, self.watch)

    def next(self, split: Split, module: Any, *told: Any) -> Checkpoint:
        """The next training's. It is known again by its number at this place and by a hash of all that it depends on.

        Args:
            module: as it is before.
            told: plain data besides.
        """
        self._begun += 1
        name = f"{self.place}-{self._begun}"
        if self.folder is None:
            return Checkpoint(None, name, self.watch)
        key = _hash(self.origin, self.place, self._begun, _mark_of(split), _hash_of(module), *told)
        return Checkpoint(self.folder / f"{name}-{key}.pt", name, self.watch)

    def take_over(self, folder: Path, own: Collection[str]) -> None:
        """Begin with what lies in a folder, to which others may hand on meanwhile.

        Args:
            own: the places whose trainings are of use here.
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.pt"):
            if path.name.split("-")[0] in own and not (self.folder / path.name).exists():
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(path, self.folder / path.name)

    def hand_on(self, heirs: Mapping[Path, Collection[str]]) -> None:
        """The recipe is made: leave what others can use in their folders, and nothing in this one.

        Args:
            heirs: their places by their folders.
        """
        if self.folder is None or not self.folder.is_dir():
            return
        for folder, own in heirs.items():
            for path in self.folder.glob("*.pt"):
                place, number, _ = path.name.split("-")
                if place in own:
                    for earlier in folder.glob(f"{place}-{number}-*.pt"):
                        earlier.unlink(missing_ok=True)
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, folder / path.name)
        shutil.rmtree(self.folder)


def origin(declared: Declared, sources: Iterable[str], baseline: str | None) -> str:
    """A hash of all that a training depends on besides its recipe: the model, the code, and the data as far as their
    files tell; versions, and in how many threads sums are split.

    Args:
        sources: paths of code, from the project's folder.
        baseline: sha256 of the baseline's file.
    """
    code = [(name, sha256_of(path)) for name, path in _files(declared.root, sources)]
    stats = [(name, path.stat()) for name, path in _files(declared.root, declared.data.places.values())]
    data = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    said = [each.model_dump(mode="json") for each in (declared.model, declared.data, declared.task)]
    return _hash(code, data, said, declared.seed, baseline, versions(("torch", "numpy")), platform.machine(), THREADS)


def of_steps(runtime: str, steps: Sequence[Any]) -> str:
    """The place of the last of these steps of a recipe, as plain data."""
    return _hash("steps", runtime, *steps)


def of_control(runtime: str, trainings: Sequence[TrainingOptions]) -> str:
    """The place of the last of these trainings of a control."""
    return _hash("control", runtime, *(options.model_dump(mode="json") for options in trainings))


def places(variant: Variant) -> set[str]:
    """All at which a variant trains."""
    trainings = [options for _, options in variant.plan.trainings]
    return {
        *(of_steps(variant.runtime, variant.recipe[: number + 1]) for number in range(len(variant.plan.steps))),
        *(of_control(variant.runtime, trainings[: number + 1]) for number in range(len(trainings))),
    }


def _files(root: Path, paths: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Files and those of folders, in order, without what Python leaves beside its sources."""
    for name in sorted(paths):
        whole = root / name
        for path in sorted(whole.rglob("*")) if whole.is_dir() else [whole]:
            if path.is_file() and path.parent.name != "__pycache__":
                yield path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path), path


def _mark_of(split: Split) -> str:
    """A hash of whole arrays; of what is read piece by piece, of the first examples."""
    digest = Digest()
    for batch in split.batches(at_once(split)) if isinstance(split.source, Arrays) else [split.first(_SOME)]:
        digest.add([batch])
    return digest.value(None)


def _hash_of(module: Any) -> str:
    import torch

    found = hashlib.sha256()
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor):
            found.update(f"{name} {value.dtype} {list(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _hash(*parts: Any) -> str:
    """Of plain data, as short as the name of a file may be."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_SHOWN]
