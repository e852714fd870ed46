"""What a check of a configuration finds: everything at once, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from ollama import Options

from llmspell_profiles.checking.validation import Report, check
from llmspell_profiles.credentials.key_store import KeyStore
from llmspell_profiles.loading.profiles import PROFILE_NAMES
from llmspell_profiles.schema.backend_options import OLLAMA_OPTIONS
from llmspell_profiles.schema.vendors import SAMPLING
from llmspell_protocol.errors import InvalidRequest, ProfileNotFound
from llmspell_providers.remote.vendors import VENDORS


def report(cwd: Path, toml: str | None = None, profile: str | None = None, **env: str) -> Report:
    if toml is not None:
        (cwd / "llmspell.toml").write_text(toml)
        (cwd / "llmspell.toml").chmod(0o600)
    return check(profile=profile, env={"HOME": str(cwd / "home"), **env}, cwd=cwd)


def errors(found: Report) -> list[str]:
    return [error.sentence for error in found.errors]


def warnings(found: Report) -> list[str]:
    return [warning.sentence for warning in found.warnings]


def test_mistakes_of_every_kind_are_found_together_in_the_order_of_lines(tmp_path: Path) -> None:
    toml = """extends = "olama"
unknown = 1
[engines.lua]
stdlib = "Full"
timeout_ms = "soon"
[providers]
default_provider = "mistrall"
[providers.mine]
base_url = "nowhere"
provider_type = "opnai"
[providers.candle]
model_directory = "${MODELS}/x"
device = "tpu"
[kernel]
port = -1
[models]
keep_alive = "long"
[rag.chunking]
overlap = 600
chunk_size = 512
"""
    found = report(tmp_path, toml, LLMSPELL_RUNTIME__LOG_LEVEL="loud", LLMSPELL_KERNEL__MAX_CLIENTS="0")
    assert [(error.details.get("line"), error.details["key"]) for error in found.errors] == [
        (1, "extends"),
        (2, "unknown"),
        (4, "engines.lua.stdlib"),
        (5, "engines.lua.timeout_ms"),
        (7, "providers.default_provider"),
        (9, "providers.mine.base_url"),
        (10, "providers.mine.provider_type"),
        (12, "providers.candle.model_directory"),
        (13, "providers.candle.device"),
        (15, "kernel.port"),
        (17, "models.keep_alive"),
        (19, "rag.chunking.overlap"),
        (None, "runtime.log_level"),
        (None, "kernel.max_clients"),
    ]
    assert all(error.details["file"] == "llmspell.toml" for error in found.errors[:12])
    assert (found.file, found.path) == ("llmspell.toml", tmp_path / "llmspell.toml")


def test_a_misspelt_profile_or_type_is_reported_without_what_would_follow_from_it(tmp_path: Path) -> None:
    toml = 'extends = "develpment"\n[providers]\ndefault_provider = "openai"\n[providers.x]\nprovider_type = "olama"\n'
    found = report(tmp_path, toml, OPENAI_API_KEY="k", ANTHROPIC_API_KEY="k")
    assert [error.details["key"] for error in found.errors] == ["extends", "providers.x.provider_type"]


def test_the_old_nesting_is_one_mistake(tmp_path: Path) -> None:
    toml = '[providers]\ndefault_provider = "openai"\n[providers.providers.openai]\nprovider_type = "openai"\n'
    assert errors(report(tmp_path, toml)) == ["llmspell.toml:3 providers.providers.openai: write [providers.openai]"]


def test_a_rule_between_two_keys_is_checked_although_one_is_out_of_its_range(tmp_path: Path) -> None:
    found = report(tmp_path, "[providers.openai.retry]\ninitial_delay_ms = 60000\nmax_delay_ms = -5\n")
    assert errors(found) == ["llmspell.toml:3 providers.openai.retry.max_delay_ms: must be at least 0, got -5"]
    found = report(tmp_path, "[rag.vector_storage.hnsw]\nm = 400\nef_construction = 50\n")
    assert errors(found) == [
        "llmspell.toml:2 rag.vector_storage.hnsw.m: 400 is out of range (2 to 100)",
        "llmspell.toml:3 rag.vector_storage.hnsw.ef_construction: must be at least m (400), got 50",
    ]


def test_what_a_profile_sets_can_be_at_odds_with_a_file(tmp_path: Path) -> None:
    found = report(tmp_path, 'extends = "rag-prod"\n[rag.chunking]\nmax_chunk_size = 101\n[kernel]\nport = 70000\n')
    assert [error.details["key"] for error in found.errors] == ["rag.chunking.chunk_size", "kernel.port"]


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("[kernel]\nport 1", "llmspell.toml:2:6 is not valid TOML: expected '=' after a key", (2, 6)),
        ("[kernel\n", "llmspell.toml:1:8 is not valid TOML: expected ']' at the end of a table declaration", (1, 8)),
    ],
)
def test_broken_toml_has_its_line_and_column(tmp_path: Path, text: str, message: str, place: tuple[int, int]) -> None:
    found = report(tmp_path, text)
    assert errors(found) == [message]
    assert (found.errors[0].details["line"], found.errors[0].details["column"]) == place
    assert (found.file, found.profile) == ("llmspell.toml", None)


def test_a_missing_file_is_an_error_of_the_report(tmp_path: Path) -> None:
    found = check(config=Path("nope.toml"), env={"HOME": str(tmp_path)}, cwd=tmp_path)
    assert (errors(found), found.file) == (["configuration file not found: nope.toml"], "nope.toml")


def test_variables_are_checked_with_no_file_at_all(tmp_path: Path) -> None:
    found = report(tmp_path, LLMSPELL_EXTENDS="x", LLMSPELL_KERNEL__PORT="x", LLMSPELL_RAG_ENABLE="1")
    assert [error.details["variable"] for error in found.errors] == ["LLMSPELL_EXTENDS", "LLMSPELL_KERNEL__PORT"]
    assert warnings(found) == ["LLMSPELL_RAG_ENABLE is not a setting; did you mean LLMSPELL_RAG_ENABLED?"]
    assert (found.file, found.path, found.profile) == (None, None, None)


def test_unknown_names_in_free_tables_are_warnings(tmp_path: Path) -> None:
    found = report(tmp_path, "[engines.python]\nx = 1\n[tools.mine]\ny = 2\n[providers.candle.options]\nodd = 3\n")
    assert errors(found) == []
    assert [warning.details["key"] for warning in found.warnings][-1] == "providers.candle.odd"


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_every_profile_is_valid(tmp_path: Path, profile: str) -> None:
    found = report(tmp_path, profile=profile, OPENAI_API_KEY="k", ANTHROPIC_API_KEY="k")
    assert errors(found) == []
    assert found.profile == profile


def test_profile_and_file_or_an_unknown_profile_are_no_report(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        check(profile="candle", config=Path("x.toml"), env={}, cwd=tmp_path)
    with pytest.raises(ProfileNotFound):
        check(profile="nope", env={"HOME": str(tmp_path)}, cwd=tmp_path)


def test_missing_credentials_are_named(tmp_path: Path) -> None:
    toml = '[providers.openai]\n[providers.mine]\nprovider_type = "openai"\napi_key_env = "MY_KEY"\n'
    assert warnings(report(tmp_path, toml)) == [
        "llmspell.toml:1 providers.openai: no credentials (OPENAI_API_KEY is not set, no key stored)"
        "; llmspell keys add openai",
        "llmspell.toml:2 providers.mine: no credentials (MY_KEY is not set, no key stored); llmspell keys add mine",
    ]
    assert warnings(report(tmp_path, toml, OPENAI_API_KEY="k", MY_KEY="k")) == []


def test_a_stored_key_counts_as_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    KeyStore(tmp_path / "home" / ".llmspell").add("openai", "k", "file")
    assert warnings(report(tmp_path, "[providers.openai]\n")) == []


@pytest.mark.parametrize("table", ["enabled = false", 'base_url = "http://localhost:8000/v1"'])
def test_a_provider_that_needs_no_key_draws_no_warning(tmp_path: Path, table: str) -> None:
    assert warnings(report(tmp_path, f"[providers.openai]\n{table}\n[providers.ollama]\n[providers.candle]\n")) == []


def test_a_literal_secret_draws_a_warning_and_a_second_one_if_others_can_read_the_file(tmp_path: Path) -> None:
    toml = '[providers.openai]\napi_key = "sk-1"\n[tools.email]\nsmtp_password = "p"\n'
    literal = [
        "llmspell.toml:2 providers.openai.api_key: a secret stands in the file; "
        "use api_key_env or 'llmspell keys add openai'",
        'llmspell.toml:4 tools.email.smtp_password: a secret stands in the file; write "${NAME}" and set that variable',
    ]
    found = report(tmp_path, toml)
    assert [each for each in warnings(found) if "secret" in each] == literal
    (tmp_path / "llmspell.toml").chmod(0o644)
    found = report_of_file(tmp_path)
    assert [each for each in warnings(found) if "secret" in each] == [
        *literal,
        "llmspell.toml: others can read this file, and a secret stands in it; chmod 600 llmspell.toml",
    ]
    assert "sk-1" not in repr(found)


def report_of_file(cwd: Path) -> Report:
    return check(env={"HOME": str(cwd / "home")}, cwd=cwd)


def test_a_reference_to_a_variable_is_no_literal_secret(tmp_path: Path) -> None:
    assert warnings(report(tmp_path, '[providers.openai]\napi_key = "${MY_KEY}"\n', MY_KEY="k")) == []


def test_options_that_a_backend_does_not_know_draw_a_warning(tmp_path: Path) -> None:
    toml = (
        "[providers.ollama]\nnum_thread = 2\noptions.wings = 2\n[providers.groq]\nlogit_bias = {}\noptions.wings = 2\n"
    )
    assert warnings(report(tmp_path, toml, GROQ_API_KEY="k")) == [
        "llmspell.toml:3 providers.ollama.wings: unknown option, the ollama backend may ignore it",
        "llmspell.toml:6 providers.groq.wings: unknown option, the groq backend may ignore it",
    ]


def test_the_options_of_ollama_are_those_of_its_package() -> None:
    ours = {"seed", "num_predict", "top_k", "top_p", "repeat_last_n", "temperature", "repeat_penalty", "stop"}
    assert ours - {"num_predict"} | OLLAMA_OPTIONS == set(Options.model_fields)


def test_sampling_that_an_interface_lacks_has_no_effect_and_validate_says_so(tmp_path: Path) -> None:
    toml = """
[providers.openai]
api_key_env = "K"
top_k = 5
seed = 3
[providers.anthropic]
api_key_env = "K"
top_k = 5
options.min_p = 0.2
[providers.box]
provider_type = "openai"
base_urls = ["http://127.0.0.1:8000/v1"]
top_k = 5
repeat_last_n = 8
[providers.far]
provider_type = "openai"
base_url = "https://eu.api.openai.com/v1"
api_key_env = "K"
repeat_penalty = 1.3
min_p = 0.2
"""
    assert warnings(report(tmp_path, toml, K="k", LLMSPELL_PROVIDERS__ANTHROPIC__SEED="7")) == [
        "llmspell.toml:4 providers.openai.top_k: accepted, has no effect",
        "llmspell.toml:9 providers.anthropic.min_p: accepted, has no effect",
        "llmspell.toml:19 providers.far.repeat_penalty: accepted, has no effect",
        "llmspell.toml:20 providers.far.min_p: accepted, has no effect",
        "llmspell.toml of this directory is not trusted: it sets providers.far.base_url; "
        "llmspell config trust shows it, and asks",
        "LLMSPELL_PROVIDERS__ANTHROPIC__SEED: accepted, has no effect",
    ]


@pytest.mark.parametrize("kind", SAMPLING)
def test_what_is_said_about_sampling_is_what_the_dialects_do(kind: str) -> None:
    vendor = VENDORS[kind]
    assert set(SAMPLING[kind]) == {*vendor.sampling, *(["seed"] if vendor.seed else [])}


def test_variables_of_a_provider_that_is_not_configured_are_named_but_for_its_key(tmp_path: Path) -> None:
    env = {"LLMSPELL_OPENAI_TIMEOUT": "5", "LLMSPELL_OPENAI_API_KEY": "k", "CANDLE_DEVICE": "cpu"}
    expected = ["LLMSPELL_OPENAI_TIMEOUT: has no effect, providers.openai is not configured"]
    assert warnings(report(tmp_path, "[providers.ollama]", **env)) == expected
    assert warnings(report(tmp_path, "[providers.openai]", **env)) == []


@pytest.mark.parametrize(
    ("toml", "key", "text"),
    [
        ("tools.network.verify_ssl = false", "tools.network.verify_ssl", "certificates are not checked"),
        (
            'tools.file_operations.allowed_paths = ["*", "/no/such"]',
            "tools.file_operations.allowed_paths",
            "/no/such does not exist",
        ),
        ('events.export.file = "/no/such/e.log"', "events.export.file", "the directory /no/such does not exist"),
        (
            'events.export.webhook = "http://example.org/x"',
            "events.export.webhook",
            "events leave this machine unencrypted (http)",
        ),
        ('kernel.security.curve = "required"', "kernel.security.curve", "a kernel over tcp doesn't start"),
        ("kernel.security.allow_remote = true", "kernel.security.allow_remote", "a kernel over tcp doesn't start"),
        ("runtime.max_concurrent_scripts = 500", "runtime.max_concurrent_scripts", "500 is unusually high"),
        ("rag.backup.enable_auto_backup = true", "rag.backup.enable_auto_backup", "accepted, has no effect"),
    ],
)
def test_doubtful_values_draw_a_warning(tmp_path: Path, toml: str, key: str, text: str) -> None:
    found = [each for each in report(tmp_path, toml).warnings if text in each.text]
    assert [(each.details["key"], each.details["line"]) for each in found] == [(key, 1)]


def test_sound_values_draw_none(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    toml = f"""
kernel.transport = "ipc"
kernel.security.curve = "required"
providers.candle.device = "cpu"
events.export.webhook = "http://localhost:1/"
events.export.file = "{tmp_path}/logs/e"
"""
    found = [each for each in warnings(report(tmp_path, toml)) if "no effect" not in each]
    assert [each for each in found if "is not trusted" not in each] == []
