"""`llmspell keys`: what is stored where, what is said about it, and that no key is ever shown."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from llmspell_profiles.credentials.key_file import KeyFile
from llmspell_profiles.credentials.key_store import KeyStore
from llmspell_profiles.credentials.secrets import find_api_key
from llmspell_profiles.loading.loader import load_settings
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.vendors import KEY_VARIABLES
from tests.support.command_line import call

KEY = "sk-not-to-be-seen-1234"


@pytest.fixture(autouse=True)
def _no_keys_of_the_developer(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable with a key, and a keyring library that finds nothing: neither settings of its own nor a bus."""
    for variable in (*KEY_VARIABLES.values(), "BRAVE_API_KEY", "SERPAPI_API_KEY", "SERPERDEV_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system keyring: the library's own machinery over a backend that keeps keys in a file below XDG_DATA_HOME."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")


def test_a_key_goes_to_the_system_keyring_where_there_is_one(
    keyring: None, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _stdin(KEY))
    done = call(capsys, "keys", "add", "openai", "--stdin")
    assert (done.status, done.out, done.err) == (0, "✓ Stored API key for openai (system keyring)\n", "")
    assert KEY not in (home / "keys.json").read_text()
    assert call(capsys, "keys", "list").out == "PROVIDER  SOURCE\nopenai    system keyring\n"
    stored = KeyStore(home).get("openai")
    assert stored is not None
    assert (stored.value, stored.store) == (KEY, "keyring")


def test_without_a_keyring_a_key_goes_to_a_file_that_only_its_owner_can_read_and_the_first_one_draws_a_warning(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = call(capsys, "keys", "add", "openai", KEY)
    path = home / "keys.json"
    assert f"✓ Stored API key for openai (file {path})" in first.out
    assert f"there is no system keyring: keys are kept in {path}, which only you can read" in first.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = call(capsys, "keys", "add", "mistral", KEY)
    assert "keyring" not in second.err
    assert sorted(json.loads(path.read_text())["keys"]) == ["mistral", "openai"]


def test_store_forces_one(keyring: None, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "--json", "keys", "add", "openai", KEY, "--store", "file")
    assert done.document == {"status": "stored", "provider": "openai", "store": "file"}
    assert json.loads((home / "keys.json").read_text())["keys"] == {"openai": KEY}
    assert call(capsys, "--json", "keys", "add", "openai", KEY, "--store", "keyring").document["store"] == "keyring"
    assert json.loads((home / "keys.json").read_text())["keys"] == {}, "an old key stays behind"


def test_a_keyring_that_is_demanded_and_missing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "keys", "add", "openai", KEY, "--store", "keyring")
    assert done.status == 2
    assert "Error: there is no system keyring that can be used here\nHint: llmspell keys add --store file" in done.err


def test_a_configured_keyring_that_cannot_be_loaded_is_an_error_and_not_a_file(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "nosuch.Keyring")
    done = call(capsys, "keys", "add", "openai", KEY)
    assert done.status == 2
    assert "the configured system keyring can't be loaded" in done.err
    assert not (home / "keys.json").exists()


def test_a_key_on_the_command_line_works_and_warns(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "keys", "add", "openai", KEY)
    assert done.status == 0
    assert "Warning: a key on the command line stays in the shell's history" in done.err


def test_an_unknown_provider_is_allowed_with_a_warning_and_a_configured_one_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "not a provider that llmspell knows" in call(capsys, "keys", "add", "acme", KEY).err
    (tmp_path / "llmspell.toml").write_text("[providers.Acme_2]\nprovider_type = 'openai'\n")
    assert "not a provider that" not in call(capsys, "keys", "add", "acme-2", KEY).err
    assert "not a provider that" not in call(capsys, "keys", "add", "brave", KEY).err


@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (["openai", "--stdin"], "", "the key is empty"),
        (["openai", "--stdin"], " \n", "the key is empty"),
        (["openai", "--stdin"], "two\nlines\n", "a line end or a control character inside"),
        (["openai", KEY, "--stdin"], "", "can't both be meant"),
        (["../x", KEY], "", "is not a provider's name"),
    ],
)
def test_what_can_be_no_key_is_refused(
    words: list[str],
    stdin: str,
    says: str,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", _stdin(stdin))
    done = call(capsys, "keys", "add", *words)
    assert done.status == 2
    assert says in done.err
    assert KEY not in done.err
    assert KeyStore(home).holders([]) == {}


def test_without_a_key_a_line_of_the_input_is_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _stdin(f"  {KEY} \nmore\n"))
    assert call(capsys, "keys", "add", "openai").out.startswith("API key for openai: \n✓ Stored")
    stored = KeyStore(home).get("openai")
    assert stored is not None
    assert stored.value == KEY


def test_an_input_that_ends_cancels_and_json_asks_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _stdin(""))
    done = call(capsys, "keys", "add", "openai")
    assert (done.status, "Cancelled" in done.err, "--stdin" in done.err) == (1, True, True)
    asked = call(capsys, "--json", "keys", "add", "openai")
    assert (asked.status, asked.error["code"]) == (2, "invalid_request")


def test_list_names_every_source_and_marks_the_one_that_counts(
    keyring: None, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    KeyStore(home).add("openai", KEY, "keyring")
    KeyFile(home).path.write_text(json.dumps({"keys": {"openai": KEY, "acme": KEY}, "in_keyring": ["openai"]}))
    (tmp_path / "llmspell.toml").write_text(
        f"[providers.openai]\napi_key = '{KEY}'\n[providers.my_groq]\nprovider_type = 'groq'\n"
    )
    monkeypatch.setenv("LLMSPELL_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.setenv("BRAVE_API_KEY", KEY)
    done = call(capsys, "keys", "list", "--json")
    rows = [(one["provider"], one["source"], one["variable"], one["active"]) for one in done.document["keys"]]
    assert rows == [
        ("acme", "file", None, True),
        ("brave", "environment", "BRAVE_API_KEY", True),
        ("groq", "environment", "GROQ_API_KEY", True),
        ("my_groq", "environment", "GROQ_API_KEY", True),
        ("openai", "environment", "LLMSPELL_OPENAI_API_KEY", True),
        ("openai", "environment", "OPENAI_API_KEY", False),
        ("openai", "config", None, False),
        ("openai", "keyring", None, False),
        ("openai", "file", None, False),
    ]
    assert done.document["count"] == len(rows)
    text = call(capsys, "keys", "list").out
    assert "openai    environment (LLMSPELL_OPENAI_API_KEY), in use\n" in text
    assert "openai    system keyring, not in use\n" in text
    assert "brave     environment (BRAVE_API_KEY)\n" in text
    assert KEY not in text + done.out + done.err
    assert not any(piece in text for piece in ("sk-", "1234"))


def test_list_without_any_key_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "keys", "list")
    assert (done.out, done.err) == ("No API keys found\n", "Hint: llmspell keys add PROVIDER\n")
    assert call(capsys, "keys", "list", "--json").document == {"keys": [], "count": 0}


def test_list_goes_on_beside_a_configuration_that_cannot_be_used(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    KeyStore(home).add("openai", KEY, "file")
    (tmp_path / "llmspell.toml").write_text("default_engine = [")
    done = call(capsys, "keys", "list")
    assert done.status == 0
    assert "openai    file" in done.out
    assert "Warning: keys in the configuration are not listed, since it can't be used: llmspell.toml:1" in done.err


@pytest.mark.parametrize("store", ["keyring", "file"])
def test_remove_forgets_a_key(store: str, keyring: None, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "keys", "add", "openai", KEY, "--store", store)
    assert call(capsys, "keys", "remove", "openai", "--json").document == {
        "status": "removed",
        "provider": "openai",
        "store": store,
    }
    assert KeyStore(home).get("openai") is None
    assert KeyStore(home).holders([]) == {}
    call(capsys, "keys", "add", "openai", KEY, "--store", store)
    assert call(capsys, "keys", "remove", "openai").out == "✓ Removed API key for openai\n"


def test_removing_what_is_not_stored_names_where_the_key_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(capsys, "keys", "remove", "openai").err == (
        "Error: no API key is stored for openai\nHint: llmspell keys list\n"
    )
    (tmp_path / "llmspell.toml").write_text(f"[providers.openai]\napi_key = '{KEY}'\n")
    done = call(capsys, "keys", "remove", "openai")
    assert (done.status, done.err.splitlines()[-1]) == (3, "Hint: the key in use stands in llmspell.toml")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    done = call(capsys, "keys", "remove", "openai")
    assert done.err.splitlines()[-1] == "Hint: the key in use comes from the environment: unset OPENAI_API_KEY"


@pytest.mark.parametrize("words", [("add", "openai", KEY), ("list",), ("remove", "openai")])
def test_keys_work_on_this_machine_only(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "keys", *words, "--connect", "auto")
    assert done.status == 2
    assert done.err == f"Error: 'keys {words[0]}' works on this machine only\nHint: drop --connect\n"


@pytest.mark.parametrize("text", [f"{{'{KEY}'", "[]", f'{{"keys": {{"a": ["{KEY}"]}}}}', '{"in_keyring": 3}', "\xff"])
def test_a_damaged_key_file_is_an_error_that_shows_no_key(
    text: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "keys.json").write_bytes(text.encode("latin-1"))
    done = call(capsys, "keys", "list")
    assert done.status == 2
    assert "the key file" in done.err
    assert KEY not in done.err
    assert call(capsys, "keys", "add", "openai", KEY).status == 2
    assert (home / "keys.json").read_bytes() == text.encode("latin-1")


def test_keys_added_at_the_same_time_are_all_kept(home: Path) -> None:
    names = [f"provider-{number}" for number in range(12)]
    start = threading.Barrier(len(names))

    def add(name: str) -> None:
        start.wait(60)
        with KeyFile(home).changing() as content:
            content.keys[name] = KEY

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(KeyFile(home).read().keys) == sorted(names)
    assert not list(home.glob(".keys.json.*"))


def test_a_file_that_others_can_read_is_closed_by_the_next_change(home: Path) -> None:
    path = home / "keys.json"
    path.write_text('{"keys": {}, "in_keyring": []}')
    path.chmod(0o644)
    KeyStore(home).add("openai", KEY, "file")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_stored_key_is_the_last_place_that_a_provider_looks_in(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyStore(home)
    store.add("openai", "stored", "file")

    def found(text: str, env: dict[str, str]) -> tuple[str, str | None] | None:
        (tmp_path / "llmspell.toml").write_text(f"[providers.openai]\n{text}")
        loaded = load_settings(env=env | {"LLMSPELL_HOME": str(home)}, cwd=tmp_path)
        key = find_api_key("openai", loaded.settings.providers.tables["openai"], env, store)
        return (key.value, key.store) if key is not None else None

    assert found("", {}) == ("stored", "file")
    assert found("api_key = 'in file'", {}) == ("in file", None)
    assert found("", {"OPENAI_API_KEY": "vendor"}) == ("vendor", None)
    store.remove("openai")
    assert found("", {}) is None


def test_a_key_is_in_no_text_that_an_object_shows(home: Path) -> None:
    KeyStore(home).add("openai", KEY, "file")
    stored = KeyStore(home).get("openai")
    assert KEY not in repr(stored) + str(stored)


def test_a_locked_keyring_is_said_and_not_taken_for_an_empty_one(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked_keyring.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "from keyring.errors import KeyringLocked\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 5\n"
        "    def get_password(self, service, username): raise KeyringLocked('it is locked')\n"
        "    def set_password(self, service, username, password): raise KeyringLocked('it is locked')\n"
        "    def delete_password(self, service, username): raise KeyringLocked('it is locked')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "locked_keyring.Keyring")
    with pytest.raises(ConfigError, match="cannot read the system keyring: it is locked"):
        KeyStore(home).get("openai")


def _stdin(text: str) -> object:
    import io

    return io.StringIO(text)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_on_a_full_disk_the_keys_that_are_there_stay_and_the_advice_is_to_make_room(home: Path) -> None:
    kept = KeyStore(home)
    kept.add("openai", KEY, "file")
    partial = home / f".keys.json.{os.getpid()}.part"
    partial.symlink_to("/dev/full")
    with pytest.raises(ConfigError, match=r"cannot write the key file .*: No space left on device") as caught:
        kept.add("mistral", KEY, "file")
    assert caught.value.hint == "free some space"
    assert sorted(path.name for path in home.iterdir()) == ["keys.json", "keys.lock"]
    assert list(KeyFile(home).read().keys) == ["openai"]
