"""The pipelines of a pair of models, ready to be sent: the user's code in one file, raw samples in another."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

from makeweight.artifact import model as artifact
from makeweight.artifact.ports import of_examples
from makeweight.bench import probe
from makeweight.config.settings import PipelineSettings
from makeweight.devices.device import Device
from makeweight.devices.local import Local, LocalOptions
from makeweight.layout import BASELINE
from makeweight.user.sources import Sources
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress
from makeweight_probe.job import BlocksJob, Pipeline, PipelineJob, Port

_HANGS = "See whether your code around the model ever returns, or another measurement ran on this machine for so long."


def packed(
    settings: PipelineSettings, sources: Sources, raw: Path, made: Mapping[str, artifact.Model], folder: Path
) -> dict[str, Pipeline]:
    """The pipeline around each model, by variant.

    Args:
        raw: the file of raw samples.
        folder: where to put what is sent.

    Raises:
        UsageError: the sources are too large to be sent.
    """
    archive = folder / "sources.zip"
    sources.pack(archive)
    found = {}
    for variant, model in made.items():
        ports = tuple(Port(port.name, port.shape, port.dtype) for port in of_examples(model.inputs))
        outputs = tuple(port.name for port in model.outputs)
        found[variant] = Pipeline(str(archive), str(raw), *settings.around(variant), ports, outputs)
    return found


def try_out(
    settings: PipelineSettings, sources: Sources, raw: Path, made: artifact.Model, inputs: Path, progress: Progress
) -> None:
    """Run the pipeline around the baseline here, before anything is measured with it.

    Args:
        inputs: the file of samples that the model alone is fed with.

    Raises:
        UsageError: the user's code does not do what it should.
    """
    with tempfile.TemporaryDirectory(prefix="makeweight-pipeline-") as folder:
        around = packed(settings, sources, raw, {BASELINE: made}, Path(folder))[BASELINE]
        model = probe.model_of(made)
        turns = BlocksJob(model, model, str(inputs), False, None, 0.0, (), 1, 0.0, None, None, 0)
        here = Local("this machine", LocalOptions(), _HANGS)
        facts = probe.run(here, PipelineJob(turns, around, around), progress.say).facts
    if "lacking" in facts:
        # a device may have it
        progress.say(f"the pipeline could not be tried: {lacking(here, *facts['lacking'])}")
    elif "unavailable" in facts:
        raise UsageError(facts["unavailable"], where="makeweight.yaml: pipeline", do="Mend your code and run again.")
    else:
        progress.say(f"pipeline: of the first sample it makes {facts['answers']['first'][0]}")


def lacking(device: Device, package: str, by: str) -> str:
    """In words: a package that the user's code imports, and that is not on the device.

    Args:
        package: as it is imported.
    """
    distribution = next(iter(packages_distributions().get(package, ())), package)
    return (
        f"{by} needs `{package}`, which `{device.name}` lacks: `{device.python[0]} -m pip install "
        f"{distribution.lower()}` there, or name its file under `sources` if it is yours"
    )
