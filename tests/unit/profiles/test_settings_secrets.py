"""Where API keys are found, which settings are secret, and which vendor's variable holds its key."""

from pathlib import Path

import pytest

from llmspell_profiles.credentials.secrets import find_api_key, is_secret
from tests.support.settings import load


def test_an_api_key_is_taken_from_the_strongest_place(tmp_path: Path) -> None:
    toml = "[providers.my-groq]\nprovider_type = 'groq'\napi_key_env = 'MY_KEY'\napi_key = 'in file'"
    provider = load(tmp_path, toml).settings.providers.tables["my-groq"]
    names = [
        "LLMSPELL_PROVIDERS__MY_GROQ__API_KEY",
        "LLMSPELL_PROVIDER_MY_GROQ_API_KEY",
        "LLMSPELL_MY_GROQ_API_KEY",
        "LLMSPELL_API_KEY_MY_GROQ",
        "MY_KEY",
        "GROQ_API_KEY",
    ]
    env = dict.fromkeys(names, "in variable")
    for name in names:
        found = find_api_key("my-groq", provider, env)
        assert found is not None
        assert (found.value, found.variable) == ("in variable", name)
        assert "in variable" not in repr(found)
        env[name] = ""
    found = find_api_key("my-groq", provider, env)
    assert found is not None
    assert (found.value, found.variable) == ("in file", None)


def test_without_a_key_there_is_none(tmp_path: Path) -> None:
    provider = load(tmp_path, "[providers.openai]").settings.providers.tables["openai"]
    assert find_api_key("openai", provider, {}) is None


@pytest.mark.parametrize(
    ("key", "known", "secret"),
    [
        ("api_key", True, True),
        ("citation_api_key", True, True),
        ("smtp_password", True, True),
        ("api_key_env", True, False),
        ("max_tokens", True, False),
        ("access_token", False, True),
        ("Client_Secret", False, True),
        ("num_ctx", False, False),
        ("ssh_passphrase", False, True),
        ("db_passwd", False, True),
    ],
)
def test_which_settings_are_secret(key: str, known: bool, secret: bool) -> None:
    assert is_secret(key, known=known) is secret


VENDORS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "cohere": "COHERE_API_KEY",
    "groq": "GROQ_API_KEY",
    "perplexity": "PERPLEXITY_API_KEY",
    "together": "TOGETHER_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "replicate": "REPLICATE_API_TOKEN",
    "fireworks": "FIREWORKS_API_KEY",
}


@pytest.mark.parametrize(("vendor", "variable"), VENDORS.items())
def test_the_key_of_a_vendor_is_in_the_vendors_own_variable(tmp_path: Path, vendor: str, variable: str) -> None:
    table = load(tmp_path, f"[providers.mine]\nprovider_type = '{vendor}'").settings.providers.tables["mine"]
    found = find_api_key("mine", table, {variable: "k"})
    assert found is not None
    assert (found.value, found.variable) == ("k", variable)
