"""What the commands about documents share: where these lie, how metadata is written, and asking the kernel for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, NoReturn

import click

from llmspell_cli.options import Decorator
from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.input_text import stdin_text
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest, NotFound

METHODS = ("hybrid", "vectors", "words")
"""Ways to find passages."""
MOST_HITS = 10_000
"""What one search gives at most."""


class Place(NamedTuple):
    """Where documents lie; None is what the kernel takes where none is named."""

    collection: str | None
    tenant: str | None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of a request."""
        return {"collection": self.collection, "tenant": self.tenant}

    @property
    def words(self) -> str:
        """In a sentence."""
        return f"collection '{self.collection or 'default'}'" + (f" of tenant '{self.tenant}'" if self.tenant else "")

    @property
    def options(self) -> Sequence[str]:
        """As they are typed behind a command."""
        collection = ("--collection", self.collection) if self.collection else ()
        return (*collection, *(("--tenant", self.tenant) if self.tenant else ()))


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--collection` and `--tenant`, which the command gets as `place`."""

    @click.option("--collection", metavar="COLLECTION", help="Where the documents lie (default).")
    @click.option("--tenant", metavar="TENANT", help="Whose they are; tenants never see each other's.")
    @wraps(command)
    def with_place(*args: Any, collection: str | None, tenant: str | None, **options: Any) -> Any:
        return command(*args, place=Place(collection, tenant), **options)

    return with_place


filter_option: Decorator = click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Metadata that must fit; may be repeated."
)


def ask_rag(opened: Session, action: str, **fields: Any) -> Content:
    """The reply's content; fields that are None are left out. Raises what the kernel answers."""
    return document(opened.ask("rag_request", {"action": action, **fields}))


def demand_named(opened: Session, place: Place) -> None:
    """Where nothing was found: raises `NotFound` if the place that was named isn't there."""
    if place.collection is not None or place.tenant is not None:
        demand_collection(opened, place)


def demand_collection(opened: Session, place: Place) -> Content:
    """What is known of a place.

    Raises:
        NotFound: nothing is there.
    """
    for one in ask_rag(opened, "collections", tenant=place.tenant)["collections"]:
        if one["collection"] == (place.collection or "default") and (one["tenant"] or None) == place.tenant:
            found: Content = one
            return found
    raise NotFound(
        f"there is no {place.words}",
        hint="llmspell rag collections shows what there is",
        details={"collection": place.collection or "default", "tenant": place.tenant},
    )


def tell(output: Output, warnings: Sequence[str]) -> None:
    """The warnings of a reply, which a document has in it."""
    for warning in () if output.json else warnings:
        output.warning(warning)


class _Lifetime(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        # Few commands have a duration.
        from llmspell_protocol.durations import FORMS, read_seconds

        try:
            seconds = read_seconds(value)
        except ValueError:
            self.fail(f"'{value}' is no duration: {FORMS}", param, ctx)
        if seconds <= 0:
            self.fail("a document has to last longer than 0", param, ctx)
        return seconds


LIFETIME = _Lifetime()
"""Seconds above 0, from `90s`, `12h` or a number."""


def of_search(command: Callable[..., Any]) -> Callable[..., Any]:
    """What chooses passages; the command gets `chosen`, the request's fields."""

    @click.option("-k", "k", type=click.IntRange(1, MOST_HITS), metavar="N", help="So many passages at most.")
    @click.option("--method", type=click.Choice(METHODS), metavar="NAME", help=f"How: {', '.join(METHODS)} (hybrid).")
    @click.option("--threshold", type=click.FloatRange(0, 1), metavar="X", help="0 to 1: leave out what fits less.")
    @filter_option
    @click.option("--diversity", type=click.FloatRange(0, 1), metavar="X", help="0 to 1: pass over what says the same.")
    @click.option("--rerank", metavar="MODEL", help="Have this model put the best in order.")
    @wraps(command)
    def with_search(
        *args: Any,
        k: int | None,
        method: str | None,
        threshold: float | None,
        filters: tuple[str, ...],
        diversity: float | None,
        rerank: str | None,
        **options: Any,
    ) -> Any:
        chosen = {
            "k": k,
            "method": method,
            "threshold": threshold,
            "filter": wanted_metadata(filters),
            "diversity": diversity,
            "rerank": rerank,
        }
        return command(*args, chosen=chosen, **options)

    return with_search


def one_query(words: Sequence[str]) -> str:
    """The words of a question as one text; `-` is standard input.

    Raises:
        InvalidRequest: there is none.
    """
    text = (stdin_text() if list(words) == ["-"] else " ".join(words)).strip()
    if not text:
        raise InvalidRequest("there is no question", hint='llmspell rag search "how to open a port"')
    return text


def metadata(given: Sequence[str]) -> dict[str, Any]:
    """What `--metadata KEY=VALUE` says: a value that is JSON is what JSON says, any other a text.

    Raises:
        InvalidRequest: another form, or a key twice.
    """
    found: dict[str, Any] = {}
    for key, text in _pairs("--metadata", given):
        if key in found:
            raise InvalidRequest(f"--metadata has '{key}' twice", hint=f"""--metadata '{key}=["one", "two"]'""")
        found[key] = _value(text)
    return found


def wanted_metadata(given: Sequence[str]) -> dict[str, Any]:
    """What `--filter KEY=VALUE` says, with several values of one key as any of them.

    `2024` and `true` fit the number and the truth value as well as the text: who types them need not know which it is.

    Raises:
        InvalidRequest: another form.
    """
    found: dict[str, list[Any]] = {}
    for key, text in _pairs("--filter", given):
        value = _value(text)
        if isinstance(value, dict):
            raise InvalidRequest(f"--filter {key}: an object can't be looked for", hint=_FORM.format("--filter"))
        wanted = found.setdefault(key, [])
        values = value if isinstance(value, list) else [value] if isinstance(value, str) else [value, text]
        wanted.extend(one for one in values if not any(type(one) is type(other) and one == other for other in wanted))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


_FORM = "{0} KEY=VALUE, such as {0} year=2024"


def _pairs(option: str, given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for word in given:
        key, sign, value = word.partition("=")
        if not sign or not key.strip():
            raise InvalidRequest(f"{option} {word}: it has no {'key' if sign else '='}", hint=_FORM.format(option))
        pairs.append((key.strip(), value))
    return pairs


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
