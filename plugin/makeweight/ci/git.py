"""git, as far as a change needs it: what a commit holds, where two histories met, what has to be fetched for that."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from makeweight.ci.commit import Commit, Entry
from makeweight.starter.repository import git_root
from makeweight_base.errors import EnvironmentFailed, UsageError

# A shallow clone is deepened step by step until the histories meet; a long-lived branch rarely needs more than one.
_DEEPEN_BY = (100, 1000)
# Configuration that the environment gives (git-config).
_GIVEN = re.compile(r"GIT_CONFIG_(COUNT|KEY_\d+|VALUE_\d+)")
# What git says before the content of an object that it has: its name, kind and size.
_OBJECT = re.compile(rb"[0-9a-f]{40,64} (\w+) (\d+)\n")
# What is kept once it was read; others are read again where they are asked for again.
_SMALL = 1 << 20
# A user's own would run in a work tree that is ours: `dvc install`, for one, checks out data after each checkout. And a
# stage could leave one that would run where git holds a token.
_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
# A commit may hold `HEAD`, `objects` and `refs` in a folder. git takes that folder for a repository, and believes the
# `config` beside them, which may name programs; with this it refuses (git-config, since 2.38).
_NO_REPOSITORY_IN_A_COMMIT = ("-c", "safe.bareRepository=explicit")
_GIT = ("git", *_NO_HOOKS, *_NO_REPOSITORY_IN_A_COMMIT)


class Git:
    """The work tree that a folder lies in. Paths are relative to that folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._read: dict[str, bytes] = {}
        self._reader: subprocess.Popen[bytes] | None = None
        # filters and helpers that the user's git is configured with have no business with our token and key
        kept = {name: value for name, value in environment.items() if not name.startswith("MAKEWEIGHT_")}
        # nor is an object taken for another that is said to replace it (git-replace), or given parents that it does not
        # name (gitrepository-layout, "info/grafts"): of a file that is there, also an empty one, git says each time
        # that it is deprecated, in front of what went wrong
        never = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": f"{os.devnull}/none"}
        self._environment = {**kept, **never, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        asked = self._done("rev-parse", "--is-inside-work-tree", "--absolute-git-dir", "--show-prefix")
        if b"dubious ownership" in asked.stderr:
            raise EnvironmentFailed(
                "git will not read this repository: it belongs to another user",
                where=str(folder.resolve()),
                do="In a job that runs in a container: `git config --global --add safe.directory "
                '"$GITHUB_WORKSPACE"`, before makeweight.',
            )
        inside, place, prefix = [*asked.stdout.split(b"\n", 2), b"", b""][:3]
        self.prefix = os.fsdecode(prefix.removesuffix(b"\n"))
        """The folder's place within the work tree, with a slash at its end; empty at the top."""
        # git before 2.38 believes such a folder all the same, and would fetch as its `config` says
        in_itself = bool(place) and folder.resolve().is_relative_to(os.fsdecode(place))
        if in_itself or b"cannot use bare repository" in asked.stderr:
            raise UsageError(
                "this folder holds a git repository of its own, without a work tree, and is none of the one around it",
                where=str(folder.resolve()),
                do="Run it in a checkout. If `HEAD`, `config`, `objects` and `refs` came with a commit, remove them "
                "there.",
            )
        if inside != b"true":
            raise UsageError(
                "this is no git repository, so there is nothing to compare with",
                where=str(folder.resolve()),
                do="Run it in a checkout (in a workflow, after `actions/checkout`).",
            )

    def require_own(self) -> None:
        """See that the folder is the one of that name in the checked out commit, and not another to which something in
        the commit leads. The base has nothing in that other one, so that a change could get rid of the base's budget.

        Raises:
            UsageError: a link leads to it, or it lies in a submodule.
        """
        link = next((each for each in self._steps() if each.is_symlink() and git_root(each.parent) is not None), None)
        if link is not None:
            raise UsageError(
                f"`{link.name}` is a link, and where it leads lies another project, of which the base knows nothing",
                where=str(link),
                do="Name the project by the folder that it lies in, without links on the way.",
            )
        if self._run("rev-parse", "--show-superproject-working-tree").strip():
            raise UsageError(
                "the project lies in a submodule, of whose commits this run is not",
                where=str(self.folder.resolve()),
                do="Judge it in the repository of the submodule, by a workflow there.",
            )

    def _steps(self) -> Iterator[Path]:
        """The folders on the way to this one, as it was named: a shell remembers by which links it came."""
        shell = self._environment.get("PWD", "")
        here = Path(shell) if Path(shell).resolve() == Path.cwd() else Path.cwd()
        whole = here / self.folder
        yield from (*reversed(whole.parents), whole)

    def resolve(self, revision: str) -> str | None:
        """The full sha of a commit that is here; None when it is not."""
        sha = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False)
        return sha.decode().strip() or None

    def parents(self, sha: str) -> list[str]:
        """A commit's parents as its object names them, in a shallow clone too."""
        lines = self._run("cat-file", "commit", sha).decode(errors="replace").partition("\n\n")[0].splitlines()
        return [line.removeprefix("parent ") for line in lines if line.startswith("parent ")]

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Have one process of git's read all that is asked for in this block. It ends with the block."""
        if self._reader is not None:
            yield
            return
        with subprocess.Popen(
            [*_GIT, "cat-file", "--batch"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as self._reader:
            pipe = self._reader.stdin
            try:
                yield
            finally:
                self._reader = None
                with contextlib.suppress(BrokenPipeError):  # it ended before it read all
                    assert pipe is not None  # noqa: S101 - it is a pipe
                    pipe.close()

    def read(self, revision: str, path: str) -> bytes | None:
        """A file as a commit holds it; None when it holds none."""
        if "\n" in path:  # which ends what is asked of a reader
            done = self._done("cat-file", "blob", f"{revision}:./{path}")
            return done.stdout if done.returncode == 0 else None
        return self._blobs([f"{revision}:./{path}"])[0]

    def files(self, revision: str, folder: str) -> list[str]:
        """The regular files below a folder at a commit."""
        listed = os.fsdecode(self._run("ls-tree", "-r", "-z", revision, "--", f"{folder}/")).split("\0")
        return [entry.partition("\t")[2] for entry in listed if entry.startswith("100")]

    def same(self, one: str, other: str, path: str, but: str) -> bool:
        """Whether two commits hold the same below a path, leaving a path below it aside."""
        return self._done("diff", "--quiet", one, other, "--", path, f":(exclude){but}").returncode == 0

    def history(self, path: str, most: int) -> list[tuple[str, str]]:
        """The newest commits of HEAD's own line that touched a path: sha and day, the newest first.

        The last of a shallow clone has no parent there, and counts as one that did.
        """
        form = ("--first-parent", "--format=%H %cs", f"--max-count={most}")
        listed = self._run("log", *form, "HEAD", "--", path, check=False).decode().split()
        return list(zip(listed[::2], listed[1::2], strict=True))

    def deepen(self, commits: int) -> None:
        """Have so many commits more, where this is a shallow clone of something that gives them."""
        if self._run("rev-parse", "--is-shallow-repository").strip() == b"true":
            head = self.resolve("HEAD") or "HEAD"
            self._run("fetch", "--quiet", "--no-tags", f"--deepen={commits}", "origin", head, check=False)

    def commit_of(self, sha: str) -> Commit:
        """All that a commit holds; contents are read when they are asked for."""
        listed = self._run("ls-tree", "-r", "-t", "-z", "--full-tree", "--end-of-options", sha).split(b"\0")
        entries = {}
        for line in filter(None, listed):
            about, _, path = line.partition(b"\t")
            mode, _, name = about.decode().split(" ")
            entries[os.fsdecode(path)] = Entry(mode, name)
        # git reads such files by the rules of its own; of those that the commit at hand has
        hides = ("--cached", "--ignored", "--exclude-per-directory=.dvcignore")
        hidden = self._run("ls-files", "-z", "--full-name", *hides, "--", ":/").split(b"\0")
        return Commit(sha, self.prefix.rstrip("/"), entries, frozenset(map(os.fsdecode, hidden)), self._contents)

    def _contents(self, ids: Iterable[str]) -> dict[str, bytes]:
        wanted = list(dict.fromkeys(ids))
        missing = [name for name in wanted if name not in self._read]
        found: dict[str, bytes] = {}
        if missing:
            for name, content in zip(missing, self._blobs(missing), strict=True):
                if content is None:
                    raise EnvironmentFailed(
                        f"git lacks the content {name[:12]}",
                        where=str(self.folder.resolve()),
                        do="Check out with `fetch-depth: 0`, without a filter.",
                    )
                found[name] = content
            self._read |= {name: content for name, content in found.items() if len(content) <= _SMALL}
        return {name: found[name] if name in found else self._read[name] for name in wanted}

    def _blobs(self, names: Iterable[str]) -> list[bytes | None]:
        """What git has of content under each name; None where it has none. See git-cat-file, "Batch output"."""
        with self.reading():
            return [self._blob(os.fsencode(name)) for name in names]

    def _blob(self, name: bytes) -> bytes | None:
        reader = self._reader
        assert reader is not None  # noqa: S101 - `reading` has it
        assert reader.stdin is not None  # noqa: S101 - they are pipes
        assert reader.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            reader.stdin.write(name + b"\n")
            reader.stdin.flush()
        about = reader.stdout.readline()
        if (header := _OBJECT.fullmatch(about)) is None:
            if about:
                return None
            raise EnvironmentFailed("git ended while it was read from", where=str(self.folder.resolve()))
        content = reader.stdout.read(int(header[2]) + 1)[:-1]
        return content if header[1] == b"blob" else None

    def tracked(self, path: str) -> bool:
        """Whether the index holds anything below a path."""
        return bool(self._run("ls-files", "-z", "--", path))

    def configuration(self) -> tuple[str | None, bytes]:
        """Which git that is, and all that it is told by files: some of it names programs that git runs."""
        bare = {name: value for name, value in self._environment.items() if not _GIVEN.fullmatch(name)}
        listed = subprocess.run(
            [*_GIT, "config", "--list", "--show-origin", "-z"],
            cwd=self.folder,
            env=bare,
            capture_output=True,
            check=False,
        )
        return shutil.which("git", path=bare.get("PATH")), listed.stdout

    def content(self, revisions: Sequence[str], paths: Iterable[str]) -> list[bytes]:
        """What some commits are, hold by hash, and hold in some files: git believes an object what its name says.

        Each time anew, by processes that end with it: what is asked before code ran that may alter git is compared with
        what is asked after.
        """
        files = "".join(f"{revision}:./{path}\n" for revision in revisions for path in paths)
        return [
            self._run("rev-parse", *revisions),
            *(self._run("ls-tree", "-r", "-t", "-z", "--full-tree", revision) for revision in revisions),
            self._done("cat-file", "--batch", given=files.encode()).stdout,
        ]

    def obtain(self, sha: str) -> bool:
        """Make sure that a commit is here, fetching it alone if need be; False when the remote does not give it."""
        if self.resolve(sha) is not None:
            return True
        self._run("fetch", "--quiet", "--no-tags", "--depth=1", "--end-of-options", "origin", sha, check=False)
        return self.resolve(sha) is not None

    def merge_base(self, one: str, other: str) -> str | None:
        """Where two histories met; a shallow clone is deepened for it. None when they never did."""
        for depth in (None, *_DEEPEN_BY, 0):
            if depth is not None:
                if self._run("rev-parse", "--is-shallow-repository").strip() != b"true":
                    break
                how = f"--deepen={depth}" if depth else "--unshallow"
                self._run("fetch", "--quiet", "--no-tags", how, "--end-of-options", "origin", one, other, check=False)
            sha = self._run("merge-base", "--end-of-options", one, other, check=False).decode().strip()
            if sha:
                return sha
        return None

    def commit(self, paths: Sequence[str], message: str, author: Mapping[str, str]) -> str | None:
        """Commit these paths as they are; the new sha, or None when nothing differs.

        Args:
            author: its NAME and EMAIL.
        """
        self._run("add", "--all", "--", *paths)
        if self._done("diff", "--cached", "--quiet", "--", *paths).returncode == 0:
            return None
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in author.items()}
        self._run("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", message, "--", *paths, more=who)
        return self.resolve("HEAD")

    def tip(self, branch: str) -> str | None:
        """Where a branch of origin stands now; None when it cannot be told."""
        name = f"refs/heads/{branch}"
        # what is asked for is a pattern, which `refs/heads/any/refs/heads/main` fits too
        listed = self._run("ls-remote", "--quiet", "origin", name, check=False).decode(errors="replace").splitlines()
        return next((sha for sha, _, ref in (line.partition("\t") for line in listed) if ref == name), None)

    def push(self, branch: str) -> str | None:
        """Push HEAD to a branch of origin; None when it went, else what git said."""
        done = self._done("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip()

    @contextlib.contextmanager
    def second(self, sha: str) -> Iterator[Path]:
        """This folder in a second work tree of a commit, detached; it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="makeweight-ci-") as scratch:
            tree = Path(scratch, "tree")
            try:
                self._run("worktree", "add", "--quiet", "--detach", "--force", str(tree), sha)
                yield tree / self.prefix
            finally:
                self._run("worktree", "remove", "--force", "--force", str(tree), check=False)
                self._run("worktree", "prune", check=False)

    def _run(self, *arguments: str, check: bool = True, more: Mapping[str, str] | None = None) -> bytes:
        done = self._done(*arguments, more=more)
        if check and done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
            raise EnvironmentFailed(f"`git {arguments[0]}` failed: {said}", where=str(self.folder.resolve()))
        return done.stdout if done.returncode == 0 else b""

    def _done(
        self, *arguments: str, more: Mapping[str, str] | None = None, given: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {**self._environment, **(more or {})}
        try:
            return subprocess.run(
                [*_GIT, *arguments],
                cwd=self.folder,
                env=environment,
                input=given,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise EnvironmentFailed("git is not installed", do="Install it and run again.") from error


def authenticated(environment: Mapping[str, str], server: str, token: str | None) -> dict[str, str]:
    """The environment in which git may fetch from a private repository whose checkout did not keep its token.

    As configuration in the environment (git-config, `GIT_CONFIG_COUNT`), the token is neither on a command line nor
    on disk. An empty value comes before it, which makes git forget the headers of the repository's own configuration:
    where the checkout did keep its token, GitHub would refuse the two of them as a duplicate.
    """
    if not token:
        return dict(environment)
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    count = int(environment.get("GIT_CONFIG_COUNT") or "0")
    key = f"http.{server.rstrip('/')}/.extraheader"
    return {
        **environment,
        "GIT_CONFIG_COUNT": str(count + 2),
        f"GIT_CONFIG_KEY_{count}": key,
        f"GIT_CONFIG_VALUE_{count}": "",
        f"GIT_CONFIG_KEY_{count + 1}": key,
        f"GIT_CONFIG_VALUE_{count + 1}": f"AUTHORIZATION: basic {basic}",
    }
