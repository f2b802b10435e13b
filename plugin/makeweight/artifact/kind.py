"""What a file is, told by its content: a suffix says what it is called, and a clone may hold a pointer in its place."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from makeweight_base.errors import UsageError

Format = Literal["torch", "safetensors", "onnx", "pt2", "tflite", "pte"]
"""What a project can begin with; of model files what they end in."""

# A header of safetensors names every tensor; a longer one is no header.
_LONGEST_HEADER = 100_000_000
_TO_TFLITE = (
    "Two commands make a file of it that makeweight takes: `pip install tensorflow`, then `tflite_convert {option} "
    "--output_file=model.tflite`. Declare that as `model.tflite`."
)
# https://ai.google.dev/edge/litert/conversion/tensorflow/convert_tf
_KERAS = _TO_TFLITE.format(option="--keras_model_file=FILE")
_SAVED_MODEL = _TO_TFLITE.format(option="--saved_model_dir=FOLDER")
_UNPACK = "Unpack it, and name what is in it."
STATE = "Save the weights alone: torch.save(module.state_dict(), path)."
"""How weights are saved so that a project can begin with them."""


@dataclass(frozen=True)
class Kind:
    """One kind of file."""

    what: str
    """`a Git LFS pointer, not the file itself`."""
    do: str
    """The way out for somebody whose project begins with it."""
    format: Format | None = None
    """None: nothing begins with such a file."""


_EMPTY = Kind("an empty file", "Fetch it or save it again.")
_CUT = Kind("a file that is cut short or damaged", "Fetch it or save it again.")
_LFS = Kind("a Git LFS pointer, not the file itself", "Run `git lfs pull`.")
_TORCH = Kind(
    "a file of PyTorch's", "Declare it as `model.weights`, and as `model.build` what makes its module.", "torch"
)
_SAFETENSORS = Kind(
    "a safetensors file", "Declare it as `model.weights`, and as `model.build` what makes its module.", "safetensors"
)
_ONNX = Kind("an ONNX file", "Declare it as `model.onnx`.", "onnx")
_PT2 = Kind("a torch.export program", "Declare it as `model.pt2`.", "pt2")
_NPZ = Kind("a numpy file of arrays", f"makeweight takes weights of PyTorch. {STATE}")
_TORCHSCRIPT = Kind(
    "a TorchScript file",
    "Its code cannot be changed. Save its weights: torch.save(torch.jit.load(path).state_dict(), 'weights.pt'), and "
    "declare `model.build` and `model.weights`; or export it to ONNX.",
)

# By where they stand and what they are: the bytes that a kind of file begins with.
_HEADS: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"version https://git-lfs", _LFS),
    (0, b"version https://hawser", _LFS),  # as it was called at first
    (0, b"/annex/objects/", Kind("a git-annex pointer, not the file itself", "Run `git annex get` on it.")),
    (0, b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file, as Keras saves them", _KERAS)),
    (0, b"\x93NUMPY", _NPZ),
    (0, b"GGUF", Kind("a GGUF file", "Start from the model that it was converted from.")),
    (4, b"TFL3", Kind("a LiteRT (TensorFlow Lite) file", "Declare it as `model.tflite`.", "tflite")),
    (4, b"ET12", Kind("an ExecuTorch file", "Declare it as `model.pte`.", "pte")),
    (4, b"ORTM", Kind("a model in ONNX Runtime's own format", "Start from the ONNX file that it was converted from.")),
    (0, b"\x1f\x8b", Kind("compressed by gzip", _UNPACK)),
    (0, b"BZh", Kind("compressed by bzip2", _UNPACK)),
    (0, b"\xfd7zXZ\x00", Kind("compressed by xz", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", Kind("compressed by Zstandard", _UNPACK)),
    (257, b"ustar", Kind("a tar archive", _UNPACK)),
)
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE)
_POINTER_OF_DVC = re.compile(rb"(?m)^outs:\s*$")
# A GraphDef begins with a NodeDef (field 1) whose first field is the node's name and whose second is its operator.
_GRAPH_DEF = re.compile(rb"\n.{1,3}\n.{1,200}?\x12.(Placeholder|Const|VarHandleOp|NoOp)", re.DOTALL)


_OF_TENSORFLOW = {**dict.fromkeys(("h5", "hdf5", "keras"), _KERAS), "saved_model": _SAVED_MODEL}


def named(key: str) -> Kind | None:
    """A kind of model by a word that is used for it, where makeweight has no key of that name."""
    do = _OF_TENSORFLOW.get(key)
    return None if do is None else Kind("a model of TensorFlow or Keras", do)


def no_file(path: Path, wanted: str) -> UsageError:
    """The refusal of a path at which there is no file, for what is there.

    Args:
        wanted: `an ONNX file`.
    """
    if not path.is_dir():
        what, do = absent(path)
        return UsageError(what, where=str(path), do=do)
    found = kind_of(path)
    if found is None:
        return UsageError(f"this is a folder, not {wanted}", where=str(path))
    return UsageError(f"this is {found.what}, not {wanted}", where=str(path), do=found.do)


def misread(path: Path, format: Format, wanted: str) -> UsageError:
    """The refusal of a file that a runtime cannot read, for what it is."""
    found = kind_of(path)
    if found is not None and found.format != format:
        return UsageError(f"this is {found.what}", where=str(path), do=found.do)
    name = wanted.partition(" ")[2]
    what = f"this is no {name}" if found is None else f"the {name} is cut short or damaged"
    return UsageError(what, where=str(path), do="Download or export it again.")


def kind_of(path: Path) -> Kind | None:
    """What a file or folder is; None where its content tells nothing.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        return _of_folder(path)
    size = path.stat().st_size
    if not size:
        return _EMPTY
    with path.open("rb") as file:
        head = file.read(1024)
    for at, begins, kind in _HEADS:
        if head.startswith(begins, at):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _of_archive(path)
    if head.startswith(_LEGACY_TORCH):
        return _TORCH
    if _PICKLE.match(head):
        return _pickled(head)
    if (length := int.from_bytes(head[:8], "little")) < _LONGEST_HEADER and head[8:9] == b"{":
        return _SAFETENSORS if size >= 8 + length else _CUT
    return _of_text(path, head) or _of_protobuf(head)


def absent(path: Path) -> tuple[str, str | None]:
    """What is wrong with a path at which nothing can be read, and what to do; None: that is for the caller to say."""
    pointer = path.with_name(f"{path.name}.dvc")
    if pointer.is_file():
        fetched = f"Run `dvc pull {shlex.quote(pointer.name)}` in its folder."
        return "the file is kept by DVC and is not here yet", fetched
    if path.is_symlink():
        return "the file is a link to nothing", "Fetch what it leads to: `dvc checkout`, or `git annex get`."
    return "no such file", None


def _of_archive(path: Path) -> Kind:
    """One of the many kinds that are zip archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return _CUT
    # torch puts all that it writes into a folder of the archive
    within = {name.partition("/")[2] for name in names}
    if "archive_format" in within or {"serialized_exported_program.json", "version"} <= {*names, *within}:
        return _PT2
    if any(name.startswith("code/") for name in within) or "constants.pkl" in within:
        return _TORCHSCRIPT
    if "data.pkl" in within:
        return _TORCH
    if "model.weights.h5" in names and "config.json" in names:
        return Kind("a Keras model", _KERAS)
    if all(name.endswith(".npy") for name in names):
        return _NPZ
    return Kind("a zip archive", _UNPACK)


def _pickled(head: bytes) -> Kind:
    if b"sklearn" in head:
        return Kind("a pickled model of scikit-learn", "Convert it to ONNX with skl2onnx, and declare `model.onnx`.")
    return Kind("a pickle, which could run any code and is not opened", STATE)


def _of_text(path: Path, head: bytes) -> Kind | None:
    if _WEB_PAGE.match(head):
        return Kind("a web page, as a failed download leaves it", "Download the file itself.")
    if _POINTER_OF_DVC.search(head) and b"path:" in head:
        real = path.name.removesuffix(".dvc")
        return Kind("a pointer of DVC's, not the file itself", f"Run `dvc pull`, and name `{real}`.")
    if head.lstrip().startswith(b"{"):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            return None
        if isinstance(data, Mapping) and isinstance(parts := data.get("weight_map"), Mapping):
            files = len(set(map(str, parts.values())))
            return Kind(
                f"an index of weights that lie in {files} files",
                f"Put them into one. {STATE}",
            )
    return None


def _of_protobuf(head: bytes) -> Kind | None:
    # A SavedModel has its schema's version (1) and then a MetaGraphDef, whose MetaInfoDef comes first.
    if head.startswith(b"\x08\x01\x12") and b"\n" in head[3:8]:
        return Kind("a TensorFlow SavedModel", _SAVED_MODEL)
    if _GRAPH_DEF.match(head):
        return Kind(
            "a frozen graph of TensorFlow's",
            "Export it to ONNX: `python -m tf2onnx.convert --graphdef FILE --inputs … --outputs … --output …`.",
        )
    # An ONNX file begins with its IR version: field 1, a varint.
    return _ONNX if head.startswith(b"\x08") else None


def _of_folder(path: Path) -> Kind | None:
    if (path / "saved_model.pb").is_file():
        return Kind("the folder of a TensorFlow SavedModel", _SAVED_MODEL)
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).is_file():
            return Kind("a folder", f"Name the weights in it: `{path.name}/{name}`.")
    return None
