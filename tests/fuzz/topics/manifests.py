"""Model directories with anything in them: the damaged model is told of by its name, the other one is as always."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgpack

from llmspell_protocol.content import to_content
from llmspell_protocol.errors import LlmspellError
from llmspell_providers.library.store import Store
from llmspell_providers.residency.estimate import Setting, estimate
from llmspell_providers.spec import ModelSpec
from tests.fuzz.trial import Trial
from tests.support.bad_files import BAD_JSON, IN_PLACE_OF_A_FILE, replaced
from tests.support.installed import install

SETTING = Setting(engine="xllamacpp", device="cpu", context_size=4096, slots=4, batch_size=256, embeds=True)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, float("nan"), float("inf")),
    *("", "x", "..", "/", "a/b", "\0", "\x1b[2J", "\ud800", "模", "x" * 5000, "gguf", "2025-01-01T00:00:00Z"),
    *([], {}, [[]], [{}], {"name": "x"}, ["chat"], [None], {"kv_bytes_a_token": 1 << 40}, {"a": 1e3}),
)


def run(trial: Trial) -> None:
    """One model's directory is changed somehow, again and again."""
    home = trial.directory / "home"
    install(home, "good")
    store = Store(home / "models" / "candle")
    logging.disable()
    try:
        _go_on(trial, store, home)
    finally:
        logging.disable(logging.NOTSET)


def _go_on(trial: Trial, store: Store, home: Path) -> None:
    while trial.more():
        shutil.rmtree(store.directory / "bad", ignore_errors=True)
        install(home, "bad", "Q4")
        changes = [_change(trial.random, store) for _ in range(trial.random.choice((1, 1, 1, 2, 4)))]
        _look(store, " and ".join(changes))


def _change(random: Random, store: Store) -> str:
    """Changes something; says what, in an error's words."""
    directory = store.directory / "bad" / "Q4"
    kind = random.choice(list(IN_PLACE_OF_A_FILE))
    path = random.choice((directory / "manifest.json", directory / "model.gguf", directory / "lock", directory))
    manifest = directory / "manifest.json"
    if random.random() < 0.2 or not manifest.is_file():
        if path.parent.is_dir():
            replaced(path, kind)
        return f"{kind} at {path.name}"
    change = random.choice((_other_bytes, _other_value, _other_value, _other_value, _other_file, _bad_json))
    return change(random, manifest)


def _other_bytes(random: Random, path: Path) -> str:
    data = bytearray(path.read_bytes())
    for _ in range(random.randrange(1, 8)):
        at = random.randrange(len(data) + 1)
        data[at : at + random.randrange(4)] = random.randbytes(random.randrange(4))
    path.write_bytes(data)
    return f"the bytes {bytes(data)!r}"


def _other_value(random: Random, path: Path) -> str:
    content = _content(path)
    if content is None:
        return "nothing"
    place = content
    if random.random() < 0.4 and isinstance(content.get("files"), list) and content["files"]:
        file = content["files"][0]
        place = file if isinstance(file, dict) else content
    key = random.choice(
        [*place, "kv_heads", "layers", "context_length", "memory_ratios", "memory", "capabilities", "heads"]
    )
    if random.random() < 0.1:
        place.pop(key, None)
    else:
        place[key] = random.choice(VALUES)
    path.write_text(json.dumps(content))
    return f"{key} = {place.get(key, 'nothing')!r}"[:200]


def _other_file(random: Random, path: Path) -> str:
    weights = path.with_name("model.gguf")
    if weights.is_file():
        weights.write_bytes(random.randbytes(random.randrange(6)))
    return "other weights"


def _bad_json(random: Random, path: Path) -> str:
    kind = random.choice(list(BAD_JSON))
    path.write_bytes(BAD_JSON[kind])
    return f"{kind} as the manifest"


def _content(path: Path) -> Any:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _look(store: Store, change: str) -> None:
    """Everything that is done with models; only errors with a code may come of the changed one, none of the other."""
    whole, damaged = store.survey()
    assert "good" in [one.id for one in whole], change
    assert all(one.id.encode() and one.reason.encode() and len(one.reason) < 500 for one in damaged), change
    for one in whole:
        expected = estimate(one, SETTING)
        info = to_content(one.info(backend="candle", loaded=False, path=str(store.path(one))))
        msgpack.packb([info, expected.loaded_bytes, expected.growth_bytes])
        json.dumps(info, allow_nan=False).encode()
    good = store.find(ModelSpec.parse("good"))
    assert good is not None, change
    with store.hold(good):
        pass
    assert store.verify(good).model == "good", change
    found = _tried(lambda: store.find(ModelSpec.parse("bad")), change)
    if found is not None:
        _tried(lambda: store.hold(found).close(), change)
        _tried(lambda: store.verify(found), change)
        _tried(lambda: store.remove(found), change)
    assert os.path.lexists(store.place("good", None) / "model.gguf"), change


def _tried(use: Callable[[], Any], change: str) -> Any:
    try:
        return use()
    except LlmspellError as error:
        content = error.to_content()
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error} after {change}") from error
    assert content["code"] != "internal", change
    json.dumps(content, ensure_ascii=False).encode()
    return None
