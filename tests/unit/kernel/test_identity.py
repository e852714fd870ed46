"""Who asks: a routing id names the key, the key the rights, and a script has no more than its caller."""

from __future__ import annotations

import pytest

from llmspell_kernel.identity import Key, KeyRing, client_caller, script_caller, standard_right
from llmspell_protocol.errors import Forbidden

GUEST = Key("guest", b"secret", frozenset({"infer"}))


@pytest.mark.parametrize(
    ("route", "key_id"),
    [
        (b"guest.0a1b", "guest"),
        (b"conn.0a1b", "conn"),
        (b"guest", "conn"),
        (b"unknown.0a1b", "conn"),
        (b"3f1c8a2e-of-a-notebook", "conn"),
        (b"\x00k.x\xff", "conn"),
    ],
)
def test_a_routing_id_begins_with_its_key_and_all_others_are_the_connections(route: bytes, key_id: str) -> None:
    assert KeyRing(b"connection", [GUEST]).of_route(route).id == key_id
    assert KeyRing(b"connection").of_route(route).id == "conn"


def test_every_standard_message_needs_the_right_to_execute_but_to_ask_what_this_is_and_to_end_it() -> None:
    assert standard_right("kernel_info_request") is None
    assert standard_right("shutdown_request") == "admin"
    for msg_type in ("execute_request", "inspect_request", "input_reply", "comm_open", "debug_request", "of_tomorrow"):
        assert standard_right(msg_type) == "execute"


def test_a_script_has_its_callers_rights_and_never_those_of_an_administrator() -> None:
    everything = client_caller(Key("conn", b""), client="a", session="s", local=True)
    script = script_caller(everything, "script-1", file_access=True)
    assert script.capabilities == everything.capabilities - {"admin"}
    assert (script.client, script.context, script.kind, script.session) == ("script-1", "script-1", "script", "s")
    assert script.local
    assert not script_caller(everything, "script-1", file_access=False).local
    guest = client_caller(GUEST, client="b", session="s", local=False)
    assert script_caller(guest, "script-2", file_access=True).capabilities == {"infer"}
    assert not script_caller(guest, "script-2", file_access=True).local
    with pytest.raises(Forbidden, match="complete needs the right 'execute'"):
        guest.demand(standard_right("complete_request"), "complete")


def test_the_same_session_under_two_keys_is_two_senders_and_no_session_is_none() -> None:
    first, second = (client_caller(key, client="c", session="s", local=True) for key in (GUEST, Key("conn", b"")))
    assert first.sender != second.sender
    assert first._replace(session="").sender == ""
