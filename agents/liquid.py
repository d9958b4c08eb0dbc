"""Liquid templates written by tenants: rendered with strict names and hard limits on work and size."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

import liquid
from liquid.exceptions import LiquidError as EngineError

from agents.errors import LiquidError

SIZE_LIMIT = 200_000
LOOP_LIMIT = 1_000
_EXCERPT = 60
_ALLOWED = (
    "abs append at_least at_most capitalize ceil date default divided_by downcase first floor join last lstrip minus modulo plus "
    "prepend remove remove_first remove_last replace replace_first replace_last round rstrip size slice split squish strip "
    "strip_newlines times truncate truncatewords upcase"
)
_FILTERS = frozenset(_ALLOWED.split())
_TAGS = frozenset({"include", "render"})


class _Environment(liquid.Environment):
    loop_iteration_limit = LOOP_LIMIT
    output_stream_limit = SIZE_LIMIT
    local_namespace_limit = SIZE_LIMIT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name not in _TAGS}
        self.filters = {name: _limited(name, function) for name, function in self.filters.items() if name in _FILTERS}


def _limited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The engine limits output and assignments but not what a chain of filters builds in between."""

    @wraps(function)
    def limited(value: Any, *args: Any, **kwargs: Any) -> Any:
        if _size_before(name, value, args) > SIZE_LIMIT:
            raise EngineError(f"{name}: the result is too large", token=None)
        result = function(value, *args, **kwargs)
        if _size(result) > SIZE_LIMIT:
            raise EngineError(f"{name}: the result is too large", token=None)
        return result

    return limited


def _size(value: Any) -> int:
    if isinstance(value, int):
        return value.bit_length() * 500  # beyond 400 bits nothing is a price, a date or a count
    return len(value) if isinstance(value, str | list | tuple) else 0


def _size_before(name: str, value: Any, args: tuple[Any, ...]) -> int:
    if isinstance(value, range):
        return SIZE_LIMIT + 1 if len(value) > LOOP_LIMIT else len(value)
    if name == "replace" and args:
        text = str(value)
        return len(text) + text.count(str(args[0])) * len(str(args[1]) if len(args) > 1 else "")
    if name == "join" and isinstance(value, list | tuple):
        return sum(len(str(part)) for part in value) + len(value) * len(str(args[0]) if args else " ")
    return 0


_environment = _Environment(undefined=liquid.StrictUndefined)


def render(template: str, variables: Mapping[str, object]) -> str:
    """The text of a template. Raises LiquidError for a wrong template, an unknown name or an exceeded limit."""
    with _explaining(template):
        return _environment.from_string(template).render(**variables)


def unknown_variables(template: str, known: Collection[str]) -> list[str]:
    """The names a template uses that are not in `known`, in order of appearance. Raises LiquidError if it is malformed."""
    return [name for _, name in _unknown(template, known)]


def check_template(template: str, known: Collection[str]) -> None:
    """Raise LiquidError, with a caret at the place and the list of known names, unless the template uses only `known`."""
    for index, name in _unknown(template, known):
        message = f"{name!r} is not a known variable. Known: {', '.join(sorted(known))}."
        raise LiquidError(_excerpt(message, template, index=index, length=len(name)))


def _unknown(template: str, known: Collection[str]) -> list[tuple[int, str]]:
    with _explaining(template):
        used = _environment.from_string(template).analyze().globals
    return sorted((min(use.span.index for use in uses), name) for name, uses in used.items() if name not in known)


@contextmanager
def _explaining(template: str) -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        raise _explained(error, template) from error
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise LiquidError(f"The template cannot be rendered: {error}.") from error


def _explained(error: EngineError, template: str) -> LiquidError:
    message = f"{error.message}."
    if error.token is None or not 0 <= error.token.start_index < len(template):
        return LiquidError(message)
    return LiquidError(_excerpt(message, template, index=error.token.start_index, length=len(error.token.value)))


def _excerpt(message: str, template: str, *, index: int, length: int) -> str:
    before = template[:index]
    row = before.count("\n") + 1
    start = before.rfind("\n") + 1
    line = template[start:].split("\n", 1)[0]
    column = index - start
    left = max(0, column - _EXCERPT)
    shown = line[left : column + _EXCERPT]
    carets = "^" * max(1, min(length, len(shown) - (column - left)))
    margin = " " * len(str(row))
    return f"{message}\nLine {row}, column {column + 1}:\n{row} | {shown}\n{margin} | {' ' * (column - left)}{carets}"
