"""Hubs and web servers that lie about names, sizes, sums, ranges and redirects: an error, or the right file."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.order import PullOrder
from tests.fuzz.trial import Trial
from tests.support.gguf_files import gguf_file
from tests.support.hub_contents import git_object
from tests.support.hub_manners import Manner, Refusal
from tests.support.hub_server import HubServer, hub_server

MODEL = gguf_file(20_000)
NAMES = (
    *("a.gguf", "b.Q4_K_M.gguf", "../x.gguf", "/etc/x.gguf", "a/../../x.gguf", "a\0b.gguf", "..", ".", "", ".x.gguf"),
    *(
        "c/Q8_0/d.gguf",
        "x" * 3000 + ".gguf",
        "\ud800.gguf",
        "模.gguf",
        "a-00001-of-00002.gguf",
        "a\\b.gguf",
        "a\nb.gguf",
    ),
    *("config.json", "model.safetensors", "x.bin", "a-00001-of-99999.gguf", "manifest.json", "lock", "state.json"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 1.5, 10**30, 10**400, "", "x", "\ud800", [], {}, [[]], {"sha256": 7}, "0" * 64, "f" * 40),
    *(len(MODEL), len(MODEL) - 1, str(len(MODEL)), {"sha256": hashlib.sha256(MODEL).hexdigest()}),
)
HEADERS = (
    *(
        {"Content-Range": value}
        for value in ("bytes 0-1/2", "bytes 5-/9", "x", "bytes 0-0/*", f"bytes 0-9/{'9' * 5000}")
    ),
    *(
        {"Location": value}
        for value in ("", "/", "//", "https://[::1/x", "http://10.0.0.1/", "file:///etc/passwd", "x:y")
    ),
    *({"Location": value} for value in ("https://" + "a" * 300, "http://169.254.169.254/x", "https://a..b/")),
    *({"Content-Encoding": value} for value in ("gzip", "br", "x" * 1000)),
    *({"Retry-After": value} for value in ("61", "-1", "nan", "inf", "x", "9" * 400)),
    *({"X-Linked-Size": value} for value in ("-1", "x", "9" * 400)),
)
STATUSES = (200, 204, 206, 301, 302, 307, 400, 401, 403, 404, 410, 416, 451)


def run(trial: Trial) -> None:
    """One hub is asked again and again, and lies in another way each time."""
    with hub_server() as hub, _at(hub):
        while trial.more():
            _pull(trial, hub)


def _pull(trial: Trial, hub: HubServer) -> None:
    from llmspell_providers.pulls.sources.job import Job

    random = trial.random
    lie = _lie(random, hub)
    directory = trial.directory / "models"
    shutil.rmtree(directory, ignore_errors=True)
    order = PullOrder(
        directory=str(directory),
        name="lies",
        addresses=(random.choice(("hf://org/repo", "hf://org/repo/a.gguf", f"{hub.url}/files/a.gguf")),),
        sha256=random.choice((None, hashlib.sha256(MODEL).hexdigest())),
        size_bytes=random.choice((None, None, len(MODEL))),
    )
    what = f"{order.addresses[0]}, {lie}"
    content: dict[str, Any] = {"code": "none"}
    try:
        Job(order, _heard).run()
    except LlmspellError as error:
        content = error.to_content()
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error} at {what}") from error
    assert content["code"] != "internal", what
    assert len(json.dumps(content).encode()) < 20_000, f"{content} of {what}"
    _check(trial.directory, Store(directory), order, what)


def _check(directory: Path, store: Store, order: PullOrder, what: str) -> None:
    """What is installed is what was announced, and nothing is anywhere else."""
    whole, damaged = store.survey()
    assert damaged == [], what
    for manifest in whole:
        assert store.verify(manifest).ok, what
        assert order.sha256 in (None, manifest.main_file.sha256), what
    outside = [path for path in directory.iterdir() if path != store.directory]
    assert outside == [], f"{outside}: {what}"
    strange = [path for path in store.directory.glob("*") if path.name not in ("lies", ".partial")]
    assert strange == [], f"{strange}: {what}"


def _heard(_: PullProgress) -> None:
    """Nobody watches."""


def _lie(random: Random, hub: HubServer) -> str:
    """Changes what the hub says; in words, for an error."""
    hub.manners.clear()
    hub.listing_body, hub.listing_status, hub.listing_headers, hub.listing_refusals = None, 200, {}, []
    hub.repositories["org/repo"] = {"a.gguf": MODEL}
    hub.files["a.gguf"] = MODEL
    if random.random() < 0.6:
        content = _listing(random)
        text = json.dumps(content).encode()
        if random.random() < 0.2:
            at = random.randrange(len(text))
            text = text[:at] + random.randbytes(3) + text[at + random.randrange(3) :]
        hub.listing_body = text
    if random.random() < 0.2:
        hub.listing_headers = random.choice(HEADERS)
        hub.listing_status = random.choice(STATUSES)
    manner = hub.manners["a.gguf"] = Manner(
        body=random.choice((None, None, MODEL[:-1], MODEL + b"x", b"", b"<html>", random.randbytes(len(MODEL)))),
        full_only=random.random() < 0.2,
        no_length=random.random() < 0.1,
    )
    if random.random() < 0.3:
        manner.refusals = [Refusal(random.choice(STATUSES), random.choice(HEADERS)) for _ in range(3)]
    return f"listing {hub.listing_body!r:.2000} with {hub.listing_status} {hub.listing_headers}, {manner!r:.500}"


def _listing(random: Random) -> Any:
    sibling: dict[str, Any] = {"rfilename": "a.gguf", "size": len(MODEL), "blobId": git_object(MODEL)}
    if random.random() < 0.7:
        sibling["lfs"] = {"sha256": hashlib.sha256(MODEL).hexdigest(), "size": len(MODEL)}
    files = [sibling, *({**sibling, "rfilename": random.choice(NAMES)} for _ in range(random.randrange(4)))]
    content: dict[str, Any] = {"sha": "0" * 40, "gated": False, "tags": ["license:mit"], "siblings": files}
    for _ in range(random.choice((0, 1, 1, 2))):
        place = random.choice((content, random.choice(files)))
        place[random.choice(list(place))] = random.choice(VALUES)
    return content


@contextmanager
def _at(hub: HubServer) -> Iterator[None]:
    """The library of the hub asks this one, without pauses; no client reads all certificates, since none is needed."""
    from huggingface_hub import constants, file_download

    from llmspell_providers.pulls.sources import download, hub_client, hub_transfer

    changed: list[tuple[Any, str, Any]] = [
        (constants, "ENDPOINT", hub.url),
        (constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"),
        (file_download, "time", SimpleNamespace(sleep=lambda _: None)),
        (download, "_BACKOFF_S", 0.0),
        (hub_transfer, "_BACKOFF_S", 0.0),
        (hub_client, "LONGEST_WAIT_S", 0.0),
        (ssl.SSLContext, "load_verify_locations", lambda *_, **__: None),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in changed]
    for module, name, value in changed:
        setattr(module, name, value)
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for module, name, value in before:
            setattr(module, name, value)
