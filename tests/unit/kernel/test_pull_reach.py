"""Who may have what opened by a pull: the kernel's own key everything, scripts names alone, others what is public."""

from __future__ import annotations

import itertools

import pytest

from llmspell_kernel.identity import Caller, Key, client_caller, script_caller
from llmspell_kernel.pull_reach import demand_reach
from llmspell_protocol.errors import Forbidden, InvalidRequest

NAMES = ["tinyllama", "hf.co/org/repo:Q4", "hf://org/repo/file.gguf", "org/model@candle", "llama3.2@ollama"]
PUBLIC = ["https://example.com/x.gguf", "http://127.0.0.1:9/x", "HTTPS://h/x.gguf@candle", "pypi://a==1/x.gguf"]
PRIVATE = ["127.0.0.1:80/org/model@ollama", "registry.example.com/org/model:x@ollama", "localhost/a/b@ollama"]
FILES = ["file:///etc/passwd", " file:///etc/passwd@candle ", "FILE:///etc/passwd"]
ALL = {"public": PUBLIC, "private": PRIVATE, "files": FILES}

OWNER = client_caller(Key("conn", b""), client="a", session="s", local=True)
AWAY = client_caller(Key("conn", b""), client="a", session="s", local=False)
GUEST = client_caller(Key("guest", b"", frozenset({"pull", "load", "execute"})), client="a", session="s", local=True)
CALLERS = {
    "the kernel's own key": (OWNER, {"public", "private", "files"}),
    "it from elsewhere": (AWAY, {"public"}),
    "a key that may pull": (GUEST, {"public"}),
    "a script": (script_caller(OWNER, "s", file_access=False), set()),
    "a script with files": (script_caller(OWNER, "s", file_access=True), {"files"}),
    "a script with addresses": (script_caller(OWNER, "s", file_access=False, hosts=("*",)), {"public"}),
    "with both": (script_caller(OWNER, "s", file_access=True, hosts=("*",)), {"public", "files"}),
    "a guest's script": (script_caller(GUEST, "s", file_access=True, hosts=("*",)), {"public"}),
    "one from elsewhere": (script_caller(AWAY, "s", file_access=True, hosts=("*",)), {"public"}),
}


@pytest.mark.parametrize("who", CALLERS)
def test_each_caller_reaches_what_it_may_and_names_always(who: str) -> None:
    caller, may = CALLERS[who]
    for name in NAMES:
        demand_reach(caller, name)
    for kind, address in itertools.chain.from_iterable(zip([k] * 9, ALL[k], strict=False) for k in ALL):
        if kind in may:
            demand_reach(caller, address)
            continue
        with pytest.raises(Forbidden) as caught:
            demand_reach(caller, address)
        assert address in caught.value.message
        assert caught.value.hint
    assert ("private" in caller.reach) == ("private" in may), "this is what says whether a pull may end in the network"


def test_a_script_of_a_script_has_no_more() -> None:
    inner = script_caller(script_caller(OWNER, "a", file_access=False), "b", file_access=True, hosts=("*",))

    assert inner.reach == frozenset()


def test_a_script_is_told_which_setting_allows_it() -> None:
    caller, _ = CALLERS["a script"]
    for address, setting in ((PUBLIC[0], "allow_pull_addresses"), (FILES[0], "allow_file_access")):
        with pytest.raises(Forbidden) as caught:
            demand_reach(caller, address)
        assert f"runtime.security.{setting}" in (caught.value.hint or "")


def test_what_is_no_name_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest):
        demand_reach(Caller("a", "s"), "file:x")
