"""The block that nginx splits by: what it says, and what is written into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.targets.nginx import NginxOptions, NginxTarget

BLOCK = "split_clients $remote_addr $model {\n    5% canary;\n    * stable;\n}\n"


def target(folder: Path, text: str) -> NginxTarget:
    (folder / "models.conf").write_text(text)
    return NginxTarget(NginxOptions(include="models.conf", pid="none.pid"), folder)


READ = {
    "as it begins": (BLOCK, 0.05),
    "two decimals on one line": ("split_clients $a $b{0.25% canary;* stable;}", 0.0025),
    "none": ("split_clients $a $b { * stable; }", 0.0),
    "all": ("split_clients $a $b { * canary; }", 1.0),
    "the original first": ("split_clients $a $b { 90% stable; * canary; }", 0.1),
    "twice": ("split_clients $a $b { 1% canary; 50% stable; 2% canary; * stable; }", 0.03),
    "a key in quotes, with braces and a semicolon": (
        'split_clients "${remote_addr};x{" $b { 5% canary; * stable; }',
        0.05,
    ),
    "braces without quotes": ("split_clients ${remote_addr}x $b { 5% canary; * stable; }", 0.05),
    "comments": (
        "# split_clients $x $y { * canary; }\nsplit_clients $a $b { # 9%\n 5% canary; # {\n * stable; }",
        0.05,
    ),
}


@pytest.mark.parametrize(("text", "share"), READ.values(), ids=READ)
def test_a_block_is_read_as_nginx_reads_it(tmp_path: Path, text: str, share: float) -> None:
    assert target(tmp_path, text).get().share == pytest.approx(share)


STRANGE = {
    "nothing": ("", "one `split_clients` block is wanted there, and 0 are"),
    "two of them": (BLOCK + BLOCK, "and 2 are"),
    "only a comment": ("# " + BLOCK.replace("\n", " "), "and 0 are"),
    "another name": (BLOCK.replace("stable", "other"), "shares of `canary` and `stable` are wanted"),
    "no rest": (BLOCK.replace("*", "95%"), r"and `\*` as the last"),
    "more than all": (BLOCK.replace("* stable", "99% stable; * stable"), "are wanted"),
    "something after the rest": (BLOCK.replace("* stable;", "* stable; 1% canary;"), "are wanted"),
    "something else": (BLOCK.replace("5%", "five"), "are wanted"),
}


@pytest.mark.parametrize(("text", "said"), STRANGE.values(), ids=STRANGE)
def test_what_is_no_such_block_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EnvironmentFailed, match=said):
        target(tmp_path, text).get()


@pytest.mark.parametrize(
    ("share", "inner"),
    [
        (0.0, "* stable;"),
        (0.25, "25.00% canary;\n    * stable;"),
        (0.00001, "0.01% canary;\n    * stable;"),
        (1.0, "* canary;"),
    ],
    ids=["none", "a quarter", "less than nginx knows", "all"],
)
def test_only_what_is_between_the_braces_is_written(tmp_path: Path, share: float, inner: str) -> None:
    around = "# ours\nmap $a $c { default 1; }\n"
    one = target(tmp_path, f"{around}{BLOCK}{around}")
    written = one._with(one._text(), share)
    assert written == f"{around}split_clients $remote_addr $model {{\n    {inner}\n}}\n{around}"
    assert target(tmp_path, written).get().share == pytest.approx(share, abs=1e-4)


def test_where_no_nginx_runs_nothing_is_changed(tmp_path: Path) -> None:
    one = target(tmp_path, BLOCK)
    for pid, said in ((None, "No such file"), ("x", "invalid literal"), ("1", "is no master of nginx")):
        if pid is not None:
            (tmp_path / "none.pid").write_text(pid)
        with pytest.raises(EnvironmentFailed, match=said):
            one.set(one.get(), 0.0)
    assert (one.get().share, one.kept.exists()) == (0.05, False)
