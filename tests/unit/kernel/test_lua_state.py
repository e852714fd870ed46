"""The global `State`: what it asks the kernel for, and values that cross the border as what they are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench, refused, reply

KEPT = {"backend": "memory", "path": None}


def entry(value: Any, key: str = "k", scope: str = "global", version: int = 7) -> dict[str, Any]:
    times = {"changed_at": "2026-01-31T10:15:30.123Z", "expires_at": None}
    return {"scope": scope, "key": key, "value": value, "version": version, **times}


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["state set"] = reply(version=8)
    bench.kernel.answers["state get"] = reply(entry=None, kept=KEPT)
    bench.kernel.answers["state delete"] = reply(deleted=True)
    bench.kernel.answers["state set_many"] = reply(count=2, kept=KEPT)
    bench.kernel.answers["state clear"] = reply(count=3, kept=KEPT)
    bench.kernel.answers["state keys"] = reply(keys=["a", "b"], count=2, after=None)
    bench.kernel.answers["state scopes"] = reply(scopes=["global"], count=1, after=None)
    return bench


def asked(bench: LuaBench) -> dict[str, Any]:
    msg_type, content = bench.kernel.requests[-1]
    assert msg_type == "state_request"
    return content


@pytest.mark.parametrize(
    ("call", "content"),
    [
        ("State.set('k', 1)", {"action": "set", "scope": "global", "key": "k", "value": 1}),
        ("State:set('k', 1)", {"action": "set", "scope": "global", "key": "k", "value": 1}),
        ("State.set('user:1', 'k', 1)", {"action": "set", "scope": "user:1", "key": "k", "value": 1}),
        ("State.save('s', 'k', 1.0)", {"action": "set", "scope": "s", "key": "k", "value": 1.0}),
        (
            "State.save('s', 'k', false, {ttl = 1.5})",
            {"action": "set", "scope": "s", "key": "k", "value": False, "ttl_s": 1.5},
        ),
        ("State.set('k', nil)", {"action": "delete", "scope": "global", "key": "k"}),
        ("State.set('k')", {"action": "delete", "scope": "global", "key": "k"}),
        ("State.set('user:1', 'k', nil)", {"action": "delete", "scope": "user:1", "key": "k"}),
        ("State.get('k')", {"action": "get", "scope": "global", "key": "k"}),
        ("State.get('k', 'other')", {"action": "get", "scope": "global", "key": "k"}),
        ("State.get('user:1', 'k')", {"action": "get", "scope": "global", "key": "user:1"}),
        ("State.load('user:1', 'k')", {"action": "get", "scope": "user:1", "key": "k"}),
        ("State.delete('k')", {"action": "delete", "scope": "global", "key": "k"}),
        ("State.delete('user:1', 'k')", {"action": "delete", "scope": "user:1", "key": "k"}),
        ("State.exists('k')", {"action": "get", "scope": "global", "key": "k"}),
        ("State.exists('user:1', 'k')", {"action": "get", "scope": "user:1", "key": "k"}),
        ("State.keys()", {"action": "keys"}),
        ("State.list_keys('user:1')", {"action": "keys", "scope": "user:1"}),
        ("State.list_scopes()", {"action": "scopes"}),
        ("State.clear()", {"action": "clear"}),
        ("State.clear('user:1')", {"action": "clear", "scope": "user:1"}),
        ("State.agent_set('a', 'k', 1)", {"action": "set", "scope": "agent:a", "key": "k", "value": 1}),
        ("State.agent_get('a', 'k')", {"action": "get", "scope": "agent:a", "key": "k"}),
        ("State.tool_set('a', 'k', 1)", {"action": "set", "scope": "tool:a", "key": "k", "value": 1}),
        ("State.tool_get('a', 'k')", {"action": "get", "scope": "tool:a", "key": "k"}),
        ("State.workflow_get('w', 'step')", {"action": "get", "scope": "workflow:w", "key": "step"}),
        ("State.workflow_list('w')", {"action": "keys", "scope": "workflow:w"}),
        (
            "State.set_many{k = {1}}",
            {"action": "set_many", "scope": "global", "entries": [{"key": "k", "value": [1]}]},
        ),
        (
            "State.set_many('user:1', {k = 1}, {ttl_s = 5})",
            {"action": "set_many", "scope": "user:1", "entries": [{"key": "k", "value": 1}], "ttl_s": 5},
        ),
    ],
)
def test_a_call_asks_for_what_it_says(bench: LuaBench, call: str, content: dict[str, Any]) -> None:
    bench.run(call)
    assert asked(bench) == content


@pytest.mark.parametrize(
    ("lua", "form"),
    [
        ("1", 1),
        ("1.0", 1.0),
        ("'ä'", "ä"),
        ("'\\255'", {"$type": "bytes", "base64": "/w=="}),
        ("0/0 ~= 0/0", True),
        ("1/0", {"$type": "float", "value": "inf"}),
        ("JSON.null", {"$type": "null"}),
        ("{}", {}),
        ("JSON.array()", []),
        ("{1, 2}", [1, 2]),
        ("{1, JSON.null}", [1, None]),
        ("{1, nil, 3}", {"$type": "table", "#1": 1, "#3": 3}),
        ("{1, x = 2}", {"$type": "table", "#1": 1, "=x": 2}),
        ("{[0] = 1}", {"$type": "table", "#0": 1}),
        ("{[1.5] = {}}", {"$type": "table", "~1.5": {}}),
        ("{[true] = 1, [1] = 2}", {"$type": "table", "?true": 1, "#1": 2}),
        ("{['\\255'] = 1}", {"$type": "table", "*/w==": 1}),
        ("{['$type'] = 1}", {"$type": "table", "=$type": 1}),
        ("{['$fn'] = 1}", {"$fn": 1}),
        ("JSON.parse('123456789012345678901')", {"$type": "integer", "digits": "123456789012345678901"}),
        ("{a = {b = {'x'}}}", {"a": {"b": ["x"]}}),
    ],
)
def test_a_value_has_one_form_and_comes_back_from_it(bench: LuaBench, lua: str, form: Any) -> None:
    bench.run(f"State.set('k', {lua})")
    sent = asked(bench)["value"]
    assert sent == form
    assert type(sent) is type(form)
    bench.kernel.answers["state get"] = reply(entry=entry(form), kept=KEPT)
    bench.run("State.set('again', State.get('k'))")
    assert asked(bench)["value"] == form


def test_what_comes_back_is_what_scripts_expect(bench: LuaBench) -> None:
    form = {"$type": "table", "#1": 1, "#2": 2.0, "=x": [], "?false": None, "#9223372036854775807": "max"}
    bench.kernel.answers["state get"] = reply(entry=entry(form), kept=KEPT)
    code = """
        local t = State.get("k")
        return {#t, math.type(t[1]), math.type(t[2]), #t.x, t[false] == JSON.null, t[math.maxinteger]}
    """
    assert bench.value(code) == [2, "integer", "float", 0, True, "max"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("print", "Unsupported Lua type for JSON conversion"),
        ("{f = function() end}", "Unsupported Lua type for JSON conversion"),
        ("coroutine.create(print)", "Unsupported Lua type for JSON conversion"),
        ("{[{}] = 1}", "table has a key that is neither string nor number"),
        ("(function() local t = {} t.t = t return t end)()", "nested deeper than 128 or contains itself"),
    ],
)
def test_what_cannot_be_kept_raises(bench: LuaBench, value: str, message: str) -> None:
    assert message in bench.caught(f"State.set('k', {value})")
    assert bench.kernel.requests == []


def test_a_value_is_nested_as_deep_as_128(bench: LuaBench) -> None:
    nest = "local t = {{x = 1}} for i = 1, %d do t = {t} end State.set('k', t)"
    bench.run(nest % 126)
    assert "deeper than 128" in bench.caught(nest % 127)


def test_a_missing_value_is_the_default_and_a_kept_false_is_itself(bench: LuaBench) -> None:
    assert bench.value("return {State.get('k', 5), State.get('k') == nil, State.get('k', 'x')}") == [5, True, "x"]
    bench.kernel.answers["state get"] = reply(entry=entry(False), kept=KEPT)
    assert bench.value("return State.get('k', 5)") is False


def test_get_with_a_scope_and_a_key_gives_that_entry(bench: LuaBench) -> None:
    bench.kernel.answers["state get"] = reply(entry=entry("v", scope="user:1"), kept=KEPT)
    assert bench.value("return State.get('user:1', 'k')") == "v"
    assert asked(bench) == {"action": "get", "scope": "user:1", "key": "k"}


def test_pages_are_asked_for_until_there_are_no_more(bench: LuaBench) -> None:
    pages = [
        reply(entries=[entry(1, "a")], count=1, after={"scope": "global", "key": "a"}, kept=KEPT),
        reply(entries=[entry(2, "b"), entry([3], "c")], count=2, after=None, kept=KEPT),
    ]

    def turn() -> None:
        bench.kernel.answers["state show"] = pages[min(1, len(bench.kernel.requests))]

    bench.kernel.answers["state show"] = pages[0]
    bench.kernel.before_event = turn
    assert bench.value("return State.all()") == {"a": 1, "b": 2, "c": [3]}
    assert asked(bench)["after"] == {"scope": "global", "key": "a"}


def test_update_writes_where_nothing_has_changed_and_asks_again_where_it_has(bench: LuaBench) -> None:
    values = iter([entry(1, version=7), entry(5, version=9)])
    answers = iter([refused("conflict", "changed"), reply(version=10)])

    def turn() -> None:
        action = asked(bench)["action"]
        if action == "get":
            bench.kernel.answers["state set"] = next(answers)
        elif action == "set":
            bench.kernel.answers["state get"] = reply(entry=next(values, None), kept=KEPT)

    bench.kernel.answers["state get"] = reply(entry=next(values), kept=KEPT)
    bench.kernel.before_event = turn
    assert bench.value("local n = 0 return {State.update('k', function(v) n = n + 1 return v + 1 end), n}") == [6, 2]
    assert len(bench.kernel.slept) == 1
    assert asked(bench) == {
        "action": "set",
        "scope": "global",
        "key": "k",
        "value": 6,
        "version": 9,
        "keep_ttl": True,
    }


def test_update_of_nothing_makes_an_entry_and_nil_removes_it(bench: LuaBench) -> None:
    assert bench.value("return State.update('user:1', 'k', function(v) return tostring(v) end, {ttl_s = 5})") == "nil"
    assert asked(bench) == {
        "action": "set",
        "scope": "user:1",
        "key": "k",
        "value": "nil",
        "version": 0,
        "ttl_s": 5,
        "keep_ttl": False,
    }
    bench.kernel.answers["state get"] = reply(entry=entry(1), kept=KEPT)
    bench.run("State.update('k', function() end)")
    assert asked(bench) == {"action": "delete", "scope": "global", "key": "k", "version": 7}


def test_update_that_always_loses_ends_and_one_that_raises_writes_nothing(bench: LuaBench) -> None:
    bench.kernel.answers["state set"] = refused("conflict", "changed")
    text = bench.caught("State.update('k', function() return 1 end)")
    assert text == "Storage error: state key 'k' was changed by others 1000 times in a row"
    before = len(bench.kernel.requests)
    assert "no" in bench.caught("State.update('k', function() error('no') end)")
    assert [content["action"] for _, content in bench.kernel.requests[before:]] == ["get"]
    bench.kernel.answers["state set"] = refused("disk_full", "there is no room")
    assert bench.caught("State.update('k', function() return 1 end)") == "Storage error: there is no room"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("State.set()", "bad argument #1 to 'State.set' (string expected, got no value)"),
        ("State.set({}, 1)", "bad argument #1 to 'State.set' (string expected, got table)"),
        ("State.get(1)", "bad argument #1 to 'State.get' (string expected, got number)"),
        ("State.save('s', 'k', 1, {tll = 1})", "Validation error: State.save has no option 'tll'; did you mean 'ttl'?"),
        (
            "State.save('s', 'k', 1, {ttl_s = 'x'})",
            "bad argument #4 to 'State.save: ttl_s' (number expected, got string)",
        ),
        ("State.save('s', 'k', 1, {ttl = 'x'})", "bad argument #4 to 'State.save: ttl' (number expected, got string)"),
        ("State.update('k', 1)", "bad argument #2 to 'State.update' (function expected, got number)"),
        ("State.set_many{1}", "bad argument #2 to 'State.set_many: key' (string expected, got number)"),
        ("State.set_many('s')", "bad argument #2 to 'State.set_many' (table expected, got no value)"),
        ("State.migrate('2')", "bad argument #1 to 'State.migrate' (number expected, got string)"),
        ("State.restore_backup()", "bad argument #1 to 'State.restore_backup' (string expected, got no value)"),
    ],
)
def test_a_wrong_argument_raises_with_its_place(bench: LuaBench, code: str, text: str) -> None:
    assert bench.caught(code).startswith(text)


BACKUP = {"backup": "b1", "created_at": "2026", "bytes": 10, "count": 2, "compression": "gzip"}


@pytest.mark.parametrize(
    ("action", "answer", "code", "value"),
    [
        (
            "backup",
            {"backup": BACKUP},
            "State.create_backup('x')",
            {
                "success": True,
                "backup_id": "b1",
                "created_at": "2026",
                "size": 10,
                "entry_count": 2,
                "is_incremental": False,
            },
        ),
        (
            "backups",
            {"backups": [BACKUP], "count": 1, "bytes": 10},
            "State.list_backups()",
            [{"id": "b1", "created_at": "2026", "size": 10, "entry_count": 2, "is_incremental": False}],
        ),
        (
            "backups",
            {"backups": [BACKUP, {**BACKUP, "created_at": "2025"}], "count": 2, "bytes": 20},
            "State.get_storage_usage()",
            {
                "total_backups": 2,
                "total_size": 20,
                "full_backups": 2,
                "incremental_backups": 0,
                "newest_backup": "2026",
                "oldest_backup": "2025",
            },
        ),
        (
            "restore",
            {"backup": "b1", "count": 3},
            "State.restore_backup('b1')",
            {"success": True, "backup_id": "b1", "entries_restored": 3},
        ),
        (
            "verify",
            {"backup": "b1", "valid": False, "problem": "cut"},
            "State.validate_backup('b1')",
            {"is_valid": False, "backup_id": "b1", "error": "cut"},
        ),
        (
            "prune",
            {"removed": ["b0"], "kept": 1, "bytes": 5},
            "State.cleanup_backups(true)",
            {"success": True, "deleted_count": 1, "retained_count": 1, "space_freed": 5, "deleted": ["b0"]},
        ),
        (
            "migrate",
            {"before": 2, "version": 2, "changed": 0},
            "State.migrate(2)",
            {"success": True, "status": "already_current", "current_version": 2, "target_version": 2},
        ),
        (
            "schema",
            {"current": 1, "versions": [1, 2], "targets": [2], "enabled": True},
            "State.get_migration_status()",
            {
                "current_version": 1,
                "latest_version": 2,
                "is_latest": False,
                "migration_available": True,
                "total_schemas": 2,
                "migration_targets": [2],
            },
        ),
        (
            "schema",
            {"current": 1, "versions": [1, 2], "targets": [2], "enabled": True},
            "State.get_schema_versions()",
            [1, 2],
        ),
    ],
)
def test_backups_and_versions_have_the_fields_that_scripts_read(
    bench: LuaBench, action: str, answer: dict[str, Any], code: str, value: Any
) -> None:
    bench.kernel.answers[f"state {action}"] = reply(**answer)
    assert bench.value(f"return {code}") == value


def test_a_migration_tells_what_it_has_done(bench: LuaBench) -> None:
    bench.kernel.answers["state migrate"] = reply(before=1, version=2, changed=5)
    done = bench.value("return State.migrate(2)")
    assert done.pop("duration_ms") >= 0
    assert done == {"success": True, "status": "completed", "from_version": 1, "to_version": 2, "items_migrated": 5}


def test_what_one_request_holds_is_bounded(bench: LuaBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_kernel.scripting.lua.convert.MAX_VALUES", 1000)
    fill = "local t = {} for i = 1, %d do t['k' .. i] = i end State.set_many(t)"
    bench.run(fill % 500)
    assert "more than 1000 values" in bench.caught(fill % 501)
