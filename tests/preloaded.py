"""Commands that begin with everything imported: half of what a short `makeweight` or `dvc` costs is its imports.

`commands(folder)` puts `makeweight`, `dvc` and `python3` into a folder for the front of a PATH; of the `MONITORS`,
`python3` alone, for its `-m makeweight_monitors`. Each hands its arguments, environment, folder, umask and standard
streams to one process that has imported what these programs import, which forks; the fork is that command, in a session
of its own. Signals are passed on to it, it is killed with the one who asked, and its end is told as its own:
`tests/integration/test_preloaded.py` holds both kinds beside each other.

Whatever would have Python itself or a library behave otherwise from its beginning (PYTHONPATH, another locale, threads)
and every other use of `python3` goes to the real one, jobs of the probe that ask for memory among them. Tests of
imports, sessions and what is left behind are made with the real commands (`without`).
"""

from __future__ import annotations

import atexit
import collections.abc
import contextlib
import errno
import functools
import gc
import hashlib
import importlib
import io
import json
import marshal
import os
import pickle
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pytest

BIN = Path(sys.executable).parent
SOCKET = "socket"
HELD = "held"
# Nobody waits for what stands for the commands, and Python would complain of a process that is forgotten.
_BEGUN: list[subprocess.Popen[bytes]] = []
PROGRAMS = ("makeweight", "dvc")
PLUGIN, MONITORS = (*PROGRAMS, "makeweight_probe"), ("makeweight_monitors",)
"""Modules that `python3 -m` is answered for, as are programs of the first two names."""
ASKED = ("AnswersJob", "BlocksJob", "FactsJob", "MatrixJob", "ProfileJob")
"""Jobs of the probe that a fork carries out; others are about a process that has imported nothing."""
# What Python, the C library and the libraries of numbers read once, when they are loaded.
FIXED = ("PYTHON", "LANG", "LC_", "LD_", "OMP_", "OPENBLAS_", "MKL_", "KMP_", "MALLOC_")
LOADED = (
    *(
        "dvc.cli.parser",
        "dvc.config_schema",
        "dvc.repo.index",
        "dvc.repo.open_repo",
        "dvc.repo.plots",
        "dvc.repo.params",
    ),
    *(
        "dvc.repo.artifacts",
        "dvc.repo.datasets",
        "dvc.repo.metrics",
        "dvc.repo.status",
        "dvc.repo.reproduce",
        "dvc.scm",
    ),
    *("dvc.stage.run", "dvc.stage.cache", "dvc.data_cloud", "dvc.rwlock", "dvc.cachemgr", "dvc.utils.strictyaml"),
    *("dvc_data.hashfile.db.local", "dvc_data.index.checkout", "dvc_data.index.collect", "dvc_data.index.fetch"),
    *(
        "dvc.repo.stage",
        "dulwich.worktree",
        "dulwich.ignore",
        "fsspec.implementations.memory",
        "configobj",
        "pyparsing",
    ),
    *("makeweight_probe.__main__", "makeweight_probe.answers", "makeweight_probe.arms", "makeweight_probe.outputs"),
    *("makeweight_probe.profile", "makeweight_probe.sessions.onnxruntime"),
    *("dvc._debug", "dvc.dirs", "dvc.repo.brancher", "dvc.repo.graph", "dvc.repo.init", "dvc.repo.worktree"),
    *("dvc_data.hashfile._progress", "dvc_data.hashfile.db.index", "dvc_data.hashfile.status", "dvc_data.index.push"),
    *("dulwich.index", "platformdirs.unix", "pydot", "ruamel.yaml.mergevalue", "rich.console", "pydantic.dataclasses"),
    *("cryptography.hazmat.primitives.serialization", "encodings.cp437", "encodings.utf_16_le"),
    *("ruamel.yaml", "networkx", "onnx.reference", "onnx.inliner", "numpy.ma", "jinja2", "requests", "rich.table"),
)
OF_MODULES = ("torch._dynamo", "torch.onnx._internal.exporter._core", "onnxscript", "torch_pruning")
"""What a module of PyTorch is compressed and exported by."""
# Of makeweight, but for what takes torch. ONNX Runtime begins a thread when it is imported, which no fork would have.
ROOMS = tuple(
    f"makeweight.{room}"
    for room in (
        *("artifact", "ci", "compress", "devices", "evidence", "github", "pipeline", "report", "starter", "verbs"),
        *("verbs.ci", "cli", "runtimes", "runtimes.onnxruntime"),
    )
)
# Of the monitors what serves, and what reads a project.
SERVING = (
    *("makeweight.compress", "makeweight.devices", "makeweight.project.reading"),
    *("makeweight_monitors.cli", "makeweight_monitors.exporter", "makeweight_monitors.http"),
    *("makeweight_monitors.rollback", "makeweight_monitors.rollback.leases", "makeweight_monitors.rollback.targets"),
    *("uvicorn.lifespan.off", "uvicorn.loops.asyncio"),
)

CLIENT = """\
#!{python} -IS
import sys
# what os, signal and struct are made of: they import as much again as this script takes
import array, marshal, posix, _signal, _socket, _struct
argv, own = sys.argv, {own!r}
name = argv[0].rpartition("/")[2]
def real():
    posix.execv({bin!r} + "/" + name, [{bin!r} + "/" + name, *argv[1:]])
at = 1
while name == "python3" and argv[at:] and argv[at] in ("-E", "-P"):
    at += 1
if name == "python3" and not (argv[at:at + 1] == ["-m"] and argv[at + 1:] and argv[at + 1] in {modules!r}):
    real()
given = {{key: value for key, value in posix.environ.items() if key.startswith({fixed!r}) and value}}
if given != own:
    real()
call = marshal.dumps((argv, posix.environ, posix.getcwd(), posix.umask(0),
    [each for each in (1, 2, 3, 15) if _signal.getsignal(each) == _signal.SIG_IGN]))
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
server.connect({socket!r})
fds = array.array("i", [0, 1, 2])
server.sendmsg([_struct.pack("I", len(call))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
server.sendall(call)
def answer():
    told = server.recv(4, _socket.MSG_WAITALL)
    return _struct.unpack("i", told)[0] if len(told) == 4 else sys.exit("what stands for " + name + " has ended")
# what comes before it is known who stands for this is passed on then: by default it would end this alone
pid, early = None, []
def pass_on(number, _):
    if pid is None:
        early.append(number)
        return
    try:
        posix.killpg(pid, number)
    except ProcessLookupError:
        pass
for each in (1, 2, 3, 15):
    if _signal.getsignal(each) != _signal.SIG_IGN:
        _signal.signal(each, pass_on)
pid = answer()
for number in early:
    pass_on(number, None)
code = posix.waitstatus_to_exitcode(answer())
if code < 0:
    _signal.signal(-code, _signal.SIG_DFL) if -code != 9 else None
    posix.kill(posix.getpid(), -code)
posix._exit(code)
"""


@contextlib.contextmanager
def commands(folder: Path, more: Sequence[str] = (), modules: Sequence[str] = PLUGIN) -> Iterator[Path]:
    """The folder with these commands in it, while the block lasts.

    Args:
        more: what else is imported at the beginning.
    """
    held = _begin(folder, more, modules)
    try:
        yield folder
    finally:
        os.close(held)


@contextlib.contextmanager
def shared(
    factory: pytest.TempPathFactory, name: str, more: Sequence[str] = (), modules: Sequence[str] = PLUGIN
) -> Iterator[Path]:
    """The same for all of pytest's workers: the first that asks has them begun, and they end with the last."""
    from made_once import made_once

    with contextlib.ExitStack() as stack:
        folder = made_once(factory, name, lambda folder: _closed_with(stack, _begin(folder, more, modules)))
        try:
            _closed_with(stack, os.open(folder / HELD, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            # nobody reads: all that had them have ended
            folder = stack.enter_context(commands(factory.mktemp(name), more, modules))
        yield folder


def _closed_with(stack: contextlib.ExitStack, descriptor: int) -> None:
    stack.callback(os.close, descriptor)


def _begin(folder: Path, more: Sequence[str], modules: Sequence[str]) -> int:
    """Put the commands into the folder and start what stands for them; it ends when nobody holds HELD open to write.

    Returns:
        A file descriptor by which the caller does.
    """
    place = folder / SOCKET
    own = {name: value for name, value in os.environ.items() if name.startswith(FIXED) and value}
    own.pop("PYTHONPATH", None)
    parts = {
        "python": BIN / "python3",
        "bin": str(BIN),
        "own": {os.fsencode(name): os.fsencode(value) for name, value in own.items()},
        "fixed": tuple(map(os.fsencode, FIXED)),
        "modules": tuple(modules),
    }
    for name in ("python3", *(set(modules) & set(PROGRAMS))):
        (folder / name).write_text(CLIENT.format(socket=str(place), **parts))
        (folder / name).chmod(0o755)
    os.mkfifo(folder / HELD)
    reading = os.open(folder / HELD, os.O_RDONLY | os.O_NONBLOCK)
    held = os.open(folder / HELD, os.O_WRONLY)
    # it ends when its standard input does; nobody waits for that
    command = [BIN / "python3", "-P", __file__, folder, ",".join(modules), *more]
    server = subprocess.Popen(command, stdin=reading, cwd=folder)
    os.close(reading)
    while not place.exists() and server.poll() is None:
        time.sleep(0.02)
    assert server.poll() is None, "what was to be loaded cannot be"
    _BEGUN.append(server)
    return held


def first(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment whose commands are those of the folder."""
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment whose commands are the real ones."""
    parts = [part for part in environment["PATH"].split(os.pathsep) if not Path(part, SOCKET).exists()]
    return {**environment, "PATH": os.pathsep.join(parts)}


def _load(modules: Sequence[str], more: Sequence[str]) -> None:
    register = atexit.register
    atexit.register = _unless_it_looks_for_leaks(register)
    for name in (*(LOADED if "dvc" in modules else ()), *more):
        importlib.import_module(name)
    for room in ROOMS if "makeweight" in modules else SERVING:
        package = importlib.import_module(room)
        for found in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{package.__name__}."):
            if not found.ispkg and not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    atexit.register = register
    _prepare(modules)
    assert more or "torch" not in sys.modules, "the real commands load it where they need it, and so shall these"
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread would be missing after the fork"


def _unless_it_looks_for_leaks(register: Callable[..., Any]) -> Callable[..., Any]:
    """Without what nanobind does at the end of a process: it looks at all of its classes and functions, each of which a
    fork would copy for that."""

    def registered(function: Callable[..., Any], *args: Any, **options: Any) -> Callable[..., Any]:
        if (getattr(function, "__module__", ""), getattr(function, "__name__", "")) != (
            "importlib._bootstrap",
            "cleanup",
        ):
            register(function, *args, **options)
        return function

    return registered


def _prepare(modules: Sequence[str]) -> None:
    """What every command makes before it looks at anything of its own, made once for all: parsers of arguments,
    readers, models of rules, a compiled page."""
    if "dvc" in modules:
        importlib.import_module("dvc.cli.parser").get_main_parser()  # which keeps it
        importlib.import_module("dvc.config").Config.validate({"remote": {"store": {"url": "store"}}})
    for name in {"makeweight", "makeweight_monitors"} & set(modules):
        cli = importlib.import_module(f"{name}.cli")
        cli._parser = functools.cache(cli._parser)  # type: ignore[attr-defined]
        cli._parser()
    for kind in (each for each in vars(collections.abc).values() if isinstance(each, type)):
        for plain in (str, bytes, int, float, bool, type(None), dict, list, tuple, set, Path):
            issubclass(plain, kind)  # who asks first looks at all classes that there are
    if "makeweight" in modules:
        importlib.import_module("makeweight.config.schema").text()
        for name in ("makeweight.ci.state", "makeweight.decide.verdict"):
            importlib.import_module(name)._reader()
        importlib.import_module("makeweight.report.pages").template("report.html.j2", "makeweight.report")


def _remember(folder: Path, modules: Sequence[str]) -> None:
    """Have a command find what another has found in the same text of YAML: most that they read is alike, and finding it
    takes up to a quarter of a short command, and of DVC's, which reads its files once for each target, up to a half.
    """
    folder.mkdir()
    yamlfile = importlib.import_module("makeweight_base.yamlfile")
    compose = yamlfile._composed
    yamlfile._composed = lambda text: _kept(folder, "nodes", text, lambda: compose(text))  # type: ignore[attr-defined]
    if "dvc" in modules:
        _remember_for_dvc(folder)


def _remember_for_dvc(folder: Path) -> None:
    """DVC reads its files once for each target of a command."""
    read = importlib.import_module("dvc.utils.serialize._yaml").parse_yaml

    def parse_yaml(text: str, path: str, typ: str = "safe") -> Any:
        return _kept(folder, typ, text, lambda: read(text, path, typ))

    for name in ("dvc.utils.serialize._yaml", "dvc.utils.serialize", "dvc.utils.strictyaml"):
        importlib.import_module(name).parse_yaml = parse_yaml  # type: ignore[attr-defined]


def _kept(folder: Path, kind: str, text: str, make: Callable[[], Any]) -> Any:
    place = _place(folder, kind, text)
    with contextlib.suppress(FileNotFoundError):
        return pickle.loads(place.read_bytes())  # noqa: S301 - of our own
    made = make()
    with contextlib.suppress(RecursionError):  # it may be nested as deeply as can just be read
        _keep(place, made)
    return made


def _place(folder: Path, kind: str, text: str) -> Path:
    return folder / f"{kind}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def _keep(place: Path, made: Any) -> None:
    part = place.with_suffix(f".{os.getpid()}")
    part.write_bytes(pickle.dumps(made))
    part.rename(place)


def _serve(folder: Path) -> None:
    """Fork for each call; comes back in the fork, as what was called for, and when standard input ends."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "socket.part"))
    listener.listen(64)
    ended, noted = os.pipe()
    os.set_blocking(noted, False)
    signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what is meant for pytest, who then closes our standard input
    gc.collect()
    gc.freeze()
    running: dict[int, socket.socket] = {}
    (folder / "socket.part").rename(folder / SOCKET)
    while True:
        asking = {each.fileno(): pid for pid, each in running.items()}
        ready = select.select([0, ended, listener, *asking], [], [])[0]
        if 0 in ready:
            os.close(0)  # at once: who opens `HELD` from now on is told that nobody reads there
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            return
        for fd in set(ready) & asking.keys():  # it never says more, so it has gone
            os.kill(asking[fd], signal.SIGKILL)
            os.waitpid(asking[fd], 0)  # before another is begun, which may want its port
            running.pop(asking[fd]).close()
        if ended in ready:
            os.read(ended, 4096)
            while running:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                with running.pop(pid) as connection, contextlib.suppress(OSError):
                    connection.sendall(struct.pack("i", status))
        if listener in ready:
            connection, _ = listener.accept()
            try:
                head, fds, _, _ = socket.recv_fds(connection, 4, 3)
                (length,) = struct.unpack("I", head)
                call = marshal.loads(connection.recv(length, socket.MSG_WAITALL))  # noqa: S302 - of our own
            except (OSError, EOFError, ValueError, struct.error):
                continue  # it went while it asked
            pid = os.fork()
            if pid == 0:
                for each in (connection, listener, *running.values()):
                    each.close()
                os.close(ended)
                os.close(noted)
                _become(fds, *call)
            for fd in fds:
                os.close(fd)
            running[pid] = connection
            with contextlib.suppress(OSError):
                connection.sendall(struct.pack("i", pid))


def _become(
    fds: list[int], argv: list[str], environment: dict[bytes, bytes], cwd: str, umask: int, ignored: list[int]
) -> NoReturn:
    """This process as it would be had it been started anew with these."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD, signal.SIGINT):
        usual: Any = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in ignored else usual)
    for to, fd in enumerate(fds):
        os.dup2(fd, to)
    for fd in fds:
        os.close(fd)
    os.environb.clear()
    os.environb.update(environment)
    os.chdir(cwd)
    os.umask(umask)
    for number, stream in enumerate(("stdin", "stdout", "stderr")):
        setattr(sys, stream, _stream(number))
        setattr(sys, f"__{stream}__", getattr(sys, stream))
    script, *rest = argv
    sys.executable = str(Path(script).resolve().with_name("python3"))
    sys.orig_argv = [sys.executable, *(rest if script.endswith("python3") else argv)]
    name, first = Path(script).name, str(Path(script).resolve().parent)
    if name == "python3":
        at = rest.index("-m")
        name, first, argv = rest[at + 1], "" if "-P" in rest[:at] else cwd, rest[at + 1 :]
    if name == "makeweight_probe" and not _is_asked(argv):
        os.execv(BIN / "python3", [str(BIN / "python3"), *rest])  # noqa: S606 - it is to be that process
    sys.argv = argv
    sys.path[:0] = [first] if first else []
    try:
        if name == "makeweight_probe":
            sys.exit(importlib.import_module(f"{name}.__main__").main(argv[1:]))
        sys.exit(importlib.import_module(f"{name}.cli").main())
    except SystemExit as asked:
        if asked.code is None or isinstance(asked.code, int):
            _end(asked.code or 0)
        raise


def _is_asked(argv: list[str]) -> bool:
    try:
        return json.loads(Path(argv[1]).read_text())["kind"] in ASKED
    except (IndexError, KeyError, OSError, ValueError):
        return False


def _end(code: int) -> None:
    """End as Python does, without taking down what was imported first: all of it would be copied for that.

    Comes back where what was said cannot be written; how Python ends then is its own affair.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def _stream(number: int) -> io.TextIOWrapper:
    """A standard stream as Python opens it."""
    raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    unbuffered, at_terminal = bool(os.environ.get("PYTHONUNBUFFERED")), raw.isatty()
    return io.TextIOWrapper(
        io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw),
        encoding=sys.__stdout__.encoding,  # type: ignore[union-attr]
        errors="backslashreplace" if number == 2 else sys.__stdin__.errors,  # type: ignore[union-attr]
        line_buffering=at_terminal or number == 2,
        write_through=unbuffered and number > 0,
    )


if __name__ == "__main__":
    place = Path(sys.argv[1])
    sys.executable = str(place / "python3")  # some modules of makeweight note it when they are loaded
    _load(sys.argv[2].split(","), sys.argv[3:])
    _remember(place / "yaml", sys.argv[2].split(","))
    _serve(place)
