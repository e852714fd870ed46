"""The builtin profiles at work: each starts a kernel and runs a script, whether or not its providers can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_profiles.loading.profiles import PROFILE_NAMES, SHORT_NAMES
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess

CLOUD = ["development", "providers", "rag-development", "rag-production", "rag-performance"]


@pytest.fixture(autouse=True)
def _no_keys(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", [*PROFILE_NAMES, *SHORT_NAMES])
def test_a_script_runs_with_each_profile(name: str) -> None:
    done = llmspell("-p", name, "exec", "return 6 * 7")
    assert (done.status, done.out) == (0, "42\n")
    warnings = [line for line in done.err.splitlines() if line.startswith("Warning")]
    assert all("can't be written on this machine" in line or "has no effect" in line for line in warnings)


@pytest.mark.parametrize("name", CLOUD)
def test_providers_without_credentials_do_not_keep_a_kernel_from_starting(name: str) -> None:
    done = llmspell("-p", name, "model", "list")
    assert (done.status, "No local models found" in done.out) == (0, True)


@pytest.mark.parametrize("name", CLOUD)
def test_a_provider_without_credentials_fails_when_it_is_used(name: str) -> None:
    done = llmspell("-p", name, "chat", "--message", "hello")
    assert done.status not in (0, 1)
    assert "rovider 'openai'" in done.err
    assert "defect" not in done.err


def test_a_kernel_of_its_own_starts_with_such_a_profile_and_runs_scripts() -> None:
    kernel = KernelProcess(["--profile", "development"])
    try:
        connection = kernel.started["connection_file"]
        assert llmspell("--connect", connection, "exec", "return 6 * 7").out == "42\n"
        done = llmspell("--connect", connection, "chat", "--message", "hello")
        assert done.status not in (0, 1)
        assert "rovider 'openai'" in done.err
    finally:
        kernel.stop()


def test_a_variable_switches_retrieval_off_over_a_profile() -> None:
    shown = llmspell("-p", "rag-prod", "config", "show", "rag.enabled", env={"LLMSPELL_RAG_ENABLED": "false"})
    assert "false" in shown.out
    assert "true" in llmspell("-p", "rag-prod", "config", "show", "rag.enabled").out
