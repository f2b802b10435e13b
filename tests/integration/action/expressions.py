"""The expressions of GitHub Actions, as far as our files use them; what is not known here is refused, never guessed.

Semantics: docs.github.com, "Evaluate expressions in workflows and actions". Comparisons coerce to numbers, strings
compare without regard to case, and `&&`/`||` give back an operand.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EMBEDDED = re.compile(r"\$\{\{(?P<expression>.*?)\}\}", re.DOTALL)
STATUS = frozenset({"success", "failure", "always", "cancelled"})
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!().,\[\]]))"
)
_WORDS = {"true": True, "false": False, "null": None}


class NotKnown(Exception):
    """An expression that this evaluator does not know, or that names what does not exist."""


@dataclass(frozen=True)
class Context:
    """What an expression may name.

    `closed` lists the contexts (dotted, such as `steps` or `steps.gate.outputs`) in which a name that is not there is
    an error; elsewhere it is null, as on GitHub.
    """

    values: Mapping[str, Any]
    status: str = "success"
    closed: frozenset[str] = frozenset({"inputs", "steps", "needs", "matrix", "secrets"})
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def evaluate(expression: str, context: Context) -> Any:
    """The value of an expression, written without its `${{ }}`.

    Raises:
        NotKnown: it holds a function, a sign or a name that is not known.
    """
    return _Reader(expression, context).whole()


def filled(text: str, context: Context) -> str:
    """A text with every `${{ }}` in it replaced."""
    return EMBEDDED.sub(lambda found: told(evaluate(found["expression"], context)), text)


def holds(condition: str | bool | None, context: Context) -> bool:
    """Whether a step or job with this `if:` runs. Without a status function in it, only after success."""
    if condition is None or isinstance(condition, bool):
        return condition is not False and context.status == "success"
    bare = condition.strip()
    if (found := EMBEDDED.fullmatch(bare)) is not None:
        bare = found["expression"]
    elif "${{" in bare:
        raise NotKnown(f"a condition of several parts: {condition}")
    asks = any(re.search(rf"\b{name}\s*\(", bare) for name in STATUS)
    # evaluated in any case, so that a condition that cannot be is found also in a run that does not depend on it
    value = bool(_truth(evaluate(bare, context)))
    return value if asks else value and context.status == "success"


def names(text: str) -> Iterator[tuple[str, ...]]:
    """Every name in a text's expressions, in parts: `steps.gate.outputs.verdict`; `*` for a part that is computed."""
    for found in EMBEDDED.finditer(text):
        yield from names_of(found["expression"])


def names_of(expression: str) -> Iterator[tuple[str, ...]]:
    """As `names`, of one expression without its `${{ }}`."""
    reader = _Reader(expression, None)
    reader.whole()
    yield from reader.named


def told(value: Any) -> str:
    """A value as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, (dict, list)):
        return "Object" if isinstance(value, dict) else "Array"
    return str(value)


class _Reader:
    """A recursive descent. Without a context it only collects the names, and every value is null."""

    def __init__(self, expression: str, context: Context | None) -> None:
        self._source = expression
        self._tokens = list(_tokens(expression))
        self._at = 0
        self._context = context
        self.named: list[tuple[str, ...]] = []

    def whole(self) -> Any:
        value = self._or()
        if self._at != len(self._tokens):
            raise NotKnown(f"`{self._tokens[self._at][1]}` is not expected in: {self._source}")
        return value

    def _or(self) -> Any:
        value = self._and()
        while self._takes("||"):
            other = self._and()
            value = value if _truth(value) else other
        return value

    def _and(self) -> Any:
        value = self._equal()
        while self._takes("&&"):
            other = self._equal()
            value = other if _truth(value) else value
        return value

    def _equal(self) -> Any:
        value = self._ordered()
        while sign := self._takes("==", "!="):
            same = _equal(value, self._ordered())
            value = same if sign == "==" else not same
        return value

    def _ordered(self) -> Any:
        value = self._not()
        while sign := self._takes("<", "<=", ">", ">="):
            left, right = _number(value), _number(self._not())
            value = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]
        return value

    def _not(self) -> Any:
        return not _truth(self._not()) if self._takes("!") else self._single()

    def _single(self) -> Any:
        kind, text = self._next()
        if text == "(":
            value = self._or()
            self._must(")")
            return value
        if kind == "number":
            return float(text)
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind != "name":
            raise NotKnown(f"`{text}` is not expected in: {self._source}")
        if text.lower() in _WORDS and not self._sees("."):
            return _WORDS[text.lower()]
        if self._takes("("):
            return self._call(text)
        return self._named(text)

    def _call(self, name: str) -> Any:
        given = []
        while not self._takes(")"):
            if given:
                self._must(",")
            given.append(self._or())
        known = {each.lower(): each for each in (*_FUNCTIONS, *STATUS, "hashFiles")}
        if name.lower() not in known:
            raise NotKnown(f"no function `{name}` is known, in: {self._source}")
        if self._context is None:
            return None
        called = known[name.lower()]
        if called in STATUS:
            return called in ("always", self._context.status)
        if called in self._context.functions:
            return self._context.functions[called](*given)
        if called not in _FUNCTIONS:
            raise NotKnown(f"`{called}` has to be handed in, for: {self._source}")
        return _FUNCTIONS[called](*given)

    def _named(self, first: str) -> Any:
        path = [first.lower()]
        while True:
            if self._takes("."):
                kind, part = self._next()
                if kind != "name":
                    raise NotKnown(f"`.{part}` in: {self._source}")
                path.append(part)
            elif self._takes("["):
                inner = self._or()
                self._must("]")
                path.append(inner if isinstance(inner, str) else "*")
            else:
                break
        self.named.append(tuple(path))
        return None if self._context is None else _looked_up(path, self._context, self._source)

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise NotKnown(f"something is missing at the end of: {self._source}")
        self._at += 1
        return self._tokens[self._at - 1]

    def _sees(self, *signs: str) -> str | None:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind == "sign" and text in signs:
                return text
        return None

    def _takes(self, *signs: str) -> str | None:
        found = self._sees(*signs)
        self._at += found is not None
        return found

    def _must(self, sign: str) -> None:
        if not self._takes(sign):
            raise NotKnown(f"`{sign}` is missing in: {self._source}")


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    bare = expression.rstrip()
    while at < len(bare):
        found = _TOKEN.match(bare, at)
        if found is None or found.lastgroup is None:
            raise NotKnown(f"`{bare[at:].strip()[:20]}` cannot be read, in: {expression}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _looked_up(path: Sequence[str], context: Context, source: str) -> Any:
    if path[0] not in context.values:
        raise NotKnown(f"no context `{path[0]}` here, in: {source}")
    value: Any = context.values
    for depth, part in enumerate(path):
        if isinstance(value, Mapping):
            lowered = {key.lower(): key for key in value}
            if part.lower() not in lowered and ".".join(path[:depth]) in context.closed:
                raise NotKnown(f"`{'.'.join(path[:depth])}` has no `{part}`, in: {source}")
            value = value.get(lowered.get(part.lower(), part))
        else:
            value = None
    return value


def _truth(value: Any) -> bool:
    return value not in (None, False, 0, "") and not (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, (bool, int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value) if value.strip() else 0.0
        except ValueError:
            return math.nan
    return math.nan


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    if left is None and right is None:
        return True
    if isinstance(left, (dict, list)) or isinstance(right, (dict, list)):
        return left is right
    return _number(left) == _number(right)


def _contains(where: Any, what: Any) -> bool:
    if isinstance(where, list):
        return any(_equal(each, what) for each in where)
    return told(what).lower() in told(where).lower()


def _format(template: Any, *given: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: told(given[int(found[1])]), told(template))


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "contains": _contains,
    "startsWith": lambda where, what: told(where).lower().startswith(told(what).lower()),
    "endsWith": lambda where, what: told(where).lower().endswith(told(what).lower()),
    "format": _format,
    "join": lambda items, by=",": told(by).join(map(told, items)),
    "toJSON": lambda value: json.dumps(value, indent=2),
    "fromJSON": lambda text: json.loads(told(text)),
}
