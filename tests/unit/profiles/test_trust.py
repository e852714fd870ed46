"""A file that is found in the working directory acts only after a person has said so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from llmspell_profiles.loading.loader import LoadedSettings, load_settings, load_trusted
from llmspell_profiles.loading.trust import TrustedFiles
from llmspell_profiles.schema.schema_keys import all_keys, known_providers, needs_trust
from llmspell_profiles.writing import set_key
from llmspell_protocol.errors import ConfigError

ACTING = """
[mcp.servers.files]
command = "server"
args = ["--all"]
"""


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    return {"HOME": str(tmp_path / "home")}


Load = Callable[..., LoadedSettings]


@pytest.fixture
def load(tmp_path: Path, env: Mapping[str, str]) -> Load:
    """What a kernel loads that is started here."""

    def load(toml: str, name: str = "llmspell.toml", config: Path | None = None, **more: str) -> LoadedSettings:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(toml)
        return load_trusted(profile=None, config=config, env={**env, **more}, cwd=tmp_path, flags=None)

    return load


@pytest.fixture
def trust(tmp_path: Path, env: Mapping[str, str]) -> Callable[[], None]:
    """`llmspell config trust`, answered with yes."""

    def trust() -> None:
        loaded = load_settings(env=env, cwd=tmp_path)
        assert loaded.guarded is not None
        TrustedFiles(loaded.home).add(loaded.guarded)

    return trust


@pytest.mark.parametrize("name", ["llmspell.toml", ".llmspell.toml", "config/llmspell.toml"])
def test_a_found_file_that_can_act_is_refused_with_what_it_sets_and_what_to_do(load: Load, name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(ACTING, name)
    assert refused.value.message == (
        f"{name} of this directory is not trusted: it sets mcp.servers.files.command, mcp.servers.files.args"
    )
    assert refused.value.hint is not None
    assert "llmspell config trust" in refused.value.hint


def test_a_trusted_file_is_used_until_what_it_may_do_changes(load: Load, trust: Callable[[], None]) -> None:
    with pytest.raises(ConfigError):
        load(ACTING)
    trust()
    assert load(ACTING).settings.mcp.servers.others["files"].command == "server"
    assert load(ACTING + "\n[models]\nmax_queue = 3\n").settings.models.max_queue == 3
    others = [ACTING.replace('"server"', '"another"'), ACTING + "env = { A = 'b' }\n"]
    others.append(ACTING + "env = { A = { secret = 'openai' } }\n")
    for other in others:
        with pytest.raises(ConfigError, match="is not trusted"):
            load(other)
    load(ACTING)


def test_a_copy_in_another_directory_is_not_trusted(
    load: Load, trust: Callable[[], None], env: Mapping[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError):
        load(ACTING)
    trust()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "llmspell.toml").write_text(ACTING)
    with pytest.raises(ConfigError, match="is not trusted"):
        load_trusted(profile=None, config=None, env=env, cwd=elsewhere, flags=None)


def test_a_file_that_is_named_and_ones_own_need_no_trust(load: Load, tmp_path: Path) -> None:
    assert load(ACTING, config=Path("llmspell.toml")).settings.mcp.servers.others
    assert load(ACTING, LLMSPELL_CONFIG=str(tmp_path / "llmspell.toml")).settings.mcp.servers.others
    (tmp_path / "llmspell.toml").unlink()
    (tmp_path / "home" / ".llmspell").mkdir(parents=True)
    assert load(ACTING, "home/.llmspell/config.toml").settings.mcp.servers.others


@pytest.mark.parametrize(
    "harmless",
    [
        "[models]\nkeep_alive = '1h'\n[kernel]\nport = 0\n[engines.lua]\nstdlib = 'All'\n",
        "[providers.ollama]\nbase_url = 'http://127.0.0.1:1234'\n",
        "[providers.box]\nprovider_type = 'openai'\nbase_url = 'http://localhost:8000/v1'\n",
        "[runtime.security]\nallow_network_access = false\nallow_file_access = false\n",
        "[kernel]\nhost = '127.0.0.1'\n[tools]\napproval = 'always'\n",
        "[cli]\nconnect = 'embedded'\n",
        "extends = 'development'\n",
        "[runtime.state_persistence]\nbackend_type = 'sqlite'\npath = '~/.llmspell/state.db'\nbackup_enabled = true\n",
        "[runtime.state_persistence.backup]\nmax_backups = 20\nmax_backup_age = 9_999_999\n",
        "[runtime.sessions]\nenabled = true\nmax_sessions = 100\nmax_age_seconds = 0\nmax_bytes = '2 GB'\n",
        "[runtime.sessions]\nmax_bytes = 0\n",
    ],
)
def test_what_forbids_stays_here_or_repeats_a_default_needs_no_trust(load: Load, harmless: str) -> None:
    load(harmless)


@pytest.mark.parametrize(
    "acting",
    [
        "[tools.permissions]\nrun = ['git']\n",
        "[tools.permissions]\nread = '/'\n",
        "[tools]\napproval = 'never'\n",
        "[tools.system]\nallowed_env_vars = ['TOKEN']\n",
        "[tools.network]\nverify_ssl = false\n",
        "[runtime.security]\nallow_process_spawn = true\n",
        "[kernel]\nhost = '0.0.0.0'\n[kernel.security]\nallow_remote = true\n",
        "[providers.openai]\nbase_url = 'https://elsewhere.example/v1'\n",
        "[providers.openai]\nbase_urls = ['http://127.0.0.1:1', 'http://10.0.0.1:1']\n",
        "[providers.openai]\nbase_url = '${SERVER:-https://elsewhere.example}'\n",
        "[providers.candle]\nserver_path = 'bin/llama-server'\n",
        "[providers]\nopenai = { base_url = 'https://elsewhere.example' }\n",
        "[cli]\nconnect = 'kernel.json'\n",
        "[providers.candle]\nmodel_directory = 'models'\n",
        "[runtime.state_persistence]\npath = 'state.db'\n",
        "[runtime.state_persistence]\nschema_directory = 'schemas'\n",
        "[runtime.state_persistence.backup]\nbackup_dir = 'bk'\n",
        "[runtime.state_persistence.backup]\nmax_backups = 1\n",
        "[runtime.state_persistence.backup]\nmax_backup_age = 0\n",
        "[runtime.sessions]\npath = '../sessions.db'\n",
        "[runtime.sessions]\nmax_sessions = 1\n",
        "[runtime.sessions]\nmax_age_seconds = 1\n",
        "[runtime.sessions]\nmax_bytes = '1 KB'\n",
        "[runtime.sessions]\nmax_bytes = '${LITTLE:-1 KB}'\n",
    ],
)
def test_what_grants_starts_or_leads_elsewhere_needs_trust(load: Load, acting: str) -> None:
    with pytest.raises(ConfigError, match="is not trusted"):
        load(acting)


def test_a_command_that_writes_into_a_trusted_file_keeps_it_trusted_and_into_another_not(
    load: Load, trust: Callable[[], None], env: Mapping[str, str], tmp_path: Path
) -> None:
    def write(key: str, value: str) -> None:
        set_key(key, value, env=env, cwd=tmp_path, config=Path("llmspell.toml"))

    write("tools.permissions.run", "git")  # a file of one's own making
    load((tmp_path / "llmspell.toml").read_text())
    with pytest.raises(ConfigError):
        load(ACTING)
    write("tools.permissions.net", "example.org")
    with pytest.raises(ConfigError, match="is not trusted"):
        load((tmp_path / "llmspell.toml").read_text())
    trust()
    write("tools.permissions.net", "example.com")
    load((tmp_path / "llmspell.toml").read_text())


def test_trust_can_be_taken_back_and_damage_of_its_file_is_told(
    load: Load, trust: Callable[[], None], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError):
        load(ACTING)
    trust()
    trusted = TrustedFiles(tmp_path / "home" / ".llmspell")
    assert trusted.remove(tmp_path / "llmspell.toml")
    assert not trusted.remove(tmp_path / "llmspell.toml")
    with pytest.raises(ConfigError, match="is not trusted"):
        load(ACTING)
    file = tmp_path / "home" / ".llmspell" / "trusted.json"
    assert json.loads(file.read_text()) == {}
    file.write_text("{")
    with pytest.raises(ConfigError, match=r"trusted\.json can't be read"):
        load(ACTING)


def test_every_key_that_takes_a_path_and_has_an_effect_needs_trust() -> None:
    paths = [key for key in all_keys(known_providers()) if Path in key.kinds]
    assert {key.name for key in paths} >= {"events.export.file", "rag.security.audit_log_path"}
    assert [key.name for key in paths if not key.idle and not needs_trust(key, "elsewhere")] == []


def test_the_keys_that_need_trust_are_these() -> None:
    known = known_providers()
    keys = all_keys({"candle": known["candle"], "openai": known["openai"], "ollama": known["ollama"]})
    found = {key.name for key in keys if needs_trust(key, object())}
    assert found >= {
        "cli.connect",
        "kernel.host",
        "kernel.security.allow_remote",
        "runtime.security.allow_file_access",
        "runtime.security.allow_network_access",
        "runtime.security.allow_process_spawn",
        "runtime.security.allow_pull_addresses",
        "runtime.sessions.max_age_seconds",
        "runtime.sessions.max_bytes",
        "runtime.sessions.max_sessions",
        "runtime.sessions.path",
        "runtime.state_persistence.backup.backup_dir",
        "runtime.state_persistence.backup.max_backup_age",
        "runtime.state_persistence.backup.max_backups",
        "runtime.state_persistence.path",
        "runtime.state_persistence.schema_directory",
        "tools.approval",
        "tools.database.allowed_hosts",
        "tools.file_operations.allowed_paths",
        "tools.http_request.allowed_hosts",
        "tools.http_request.blocked_hosts",
        "tools.network.verify_ssl",
        "tools.search.endpoint",
        "tools.system.allow_process_execution",
        "tools.system.allowed_commands",
        "tools.system.allowed_env_vars",
        "providers.openai.base_url",
        "providers.openai.base_urls",
        "providers.ollama.base_url",
        "providers.candle.model_directory",
        "providers.candle.server_path",
    }
    for table in ("tools.permissions", "tools.email", "events.export"):
        assert any(name.startswith(f"{table}.") for name in found), table
