"""The arguments of `makeweight init`, and what they say; apart from the verb: every call builds the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

from makeweight.layout import CONFIG


@dataclass(frozen=True)
class Given:
    """What the call says of the model; everything else is looked for."""

    build: str | None = None
    weights: str | None = None
    onnx: str | None = None
    pt2: str | None = None
    inputs: tuple[str, ...] = ()
    """Each `NAME=N,1,8,8`."""
    constants: tuple[str, ...] = ()
    """Each `NAME=16000`."""
    data: str | None = None
    npz_test: str | None = None
    npz_calibration: str | None = None
    images: str | None = None
    task: str | None = None
    name: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("a PyTorch model")
    source.add_argument("--build", metavar="MODULE:CALLABLE", help="returns the torch.nn.Module")
    source.add_argument("--weights", metavar="FILE", help="its weights: a state dict or a checkpoint")
    file = parser.add_argument_group("or a model file")
    file.add_argument("--onnx", metavar="FILE", help="an ONNX model, or a .tflite or .pte; its inputs are read from it")
    file.add_argument("--pt2", metavar="FILE", help="a torch.export program; its inputs are read from it")
    examples = parser.add_argument_group("its examples")
    examples.add_argument("--data", metavar="MODULE:CALLABLE", help="called with a split, returns its examples")
    examples.add_argument("--npz-test", metavar="FILE", help="arrays by input name, and `target`")
    examples.add_argument("--npz-calibration", metavar="FILE", help="arrays by input name, for static quantization")
    examples.add_argument(
        "--images", metavar="FOLDER", help="pictures: test/, train/ and so on in it, with a folder a class, or test.csv"
    )
    more = parser.add_argument_group("more")
    more.add_argument("--inputs", metavar="NAME=N,1,8,8", nargs="+", default=[], help="shapes; a letter is a free size")
    more.add_argument(
        "--constants", metavar="NAME=16000", nargs="+", default=[], help="inputs that are the same for all examples"
    )
    more.add_argument(
        "--task",
        help="classification (default), multilabel, regression, segmentation, detection, or your own metric as "
        "module:callable",
    )
    more.add_argument("--name", help="the project's name in reports (default: its folder's)")
    more.add_argument("--force", action="store_true", help=f"write {CONFIG} anew; the old one is kept beside it")
    more.add_argument(
        "--github",
        nargs="?",
        const="",  # asked for, with no place named: that is told in words
        metavar="OWNER/REPO[@REF]",
        help="write workflows that judge every pull request; where makeweight's Action is taken from",
    )
    more.add_argument("--branch", metavar="NAME", help="with --github: the default branch (default: as origin tells)")


def given(options: argparse.Namespace) -> Given:
    """What the arguments say."""
    said = {field.name: getattr(options, field.name) for field in fields(Given)}
    return Given(**{**said, "inputs": tuple(options.inputs), "constants": tuple(options.constants)})
