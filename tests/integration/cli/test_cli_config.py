"""`llmspell config show` on a kernel of its own and on a running one; `config init` at a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmspell_protocol.areas import actions
from llmspell_protocol.errors import NotFound
from llmspell_protocol.rights import SCRIPT_CAPABILITIES
from tests.support.command_line import AtTerminal, Done, llmspell
from tests.support.kernels import KernelProcess

FILE = """extends = "candle"

[models]
keep_alive = "90s"

[providers.openai]
api_key = "sk-literal-hidden"
options.session_token = "tok-literal-hidden"
"""

Show = Callable[..., Done]


@pytest.fixture(params=["embedded", "connected"])
def show(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    """`config show`, with the file above and a variable with a secret, in both modes."""
    Path("llmspell.toml").write_text(FILE)
    monkeypatch.setenv("LLMSPELL_GROQ_API_KEY", "gsk-variable-hidden")
    monkeypatch.setenv("LLMSPELL_GROQ_MODEL", "m")
    if request.param == "embedded":
        yield lambda *words: llmspell("config", "show", *words)
        return
    kernel = KernelProcess()
    target = str(kernel.started["connection_file"])
    # Only the kernel has read them: what is shown is its own.
    Path("llmspell.toml").unlink()
    monkeypatch.delenv("LLMSPELL_GROQ_API_KEY")
    yield lambda *words: llmspell("--connect", target, "config", "show", *words)
    kernel.stop()


def test_everything_is_shown_as_toml_below_a_heading(show: Show) -> None:
    done = show()
    assert done.status == 0
    assert done.out.startswith("# Full configuration (llmspell.toml, extends candle)\n")
    config = tomllib.loads(done.out)
    assert config["models"]["keep_alive"] == 90
    assert config["providers"]["candle"]["default_model"] == "smollm2:135m"
    assert list(config) == [
        *("default_engine", "extends", "engines", "providers", "runtime", "kernel", "models", "cli"),
        *("hooks", "events", "debug", "tools", "mcp", "rag"),
    ]


def test_everything_is_shown_as_json(show: Show) -> None:
    config = show("--format", "json").document
    assert config == show("--json").document
    assert config["models"]["keep_alive"] == 90
    assert config["kernel"]["security"]["curve"] == "auto"
    assert config["events"]["export"]["file"] is None


@pytest.mark.parametrize("words", [(), ("--json",), ("--sources",), ("providers", "--sources", "--json")])
def test_no_secret_is_shown(show: Show, words: tuple[str, ...]) -> None:
    done = show(*words, "--trace", "trace")
    assert done.status == 0
    assert "***" in done.out
    assert "hidden" not in done.out + done.err


def test_a_section_by_argument_or_option(show: Show) -> None:
    by_argument = show("rag.vector_storage")
    assert by_argument.out.startswith("# Section rag.vector_storage (llmspell.toml, extends candle)\n\n")
    assert tomllib.loads(by_argument.out)["rag"]["vector_storage"]["hnsw"]["m"] == 16
    assert show("--section", "rag.vector_storage").out == by_argument.out
    assert show("rag", "--section", "models").status == 2
    assert show("models.keep_alive", "--json").out == "90\n"


def test_sources_stand_behind_the_values(show: Show) -> None:
    out = show("models", "--sources").out
    assert "keep_alive = 90 # llmspell.toml:4\n" in out
    assert "max_queue = 512 # default\n" in out
    document = show("providers", "--sources", "--json").document
    assert list(document) == ["config", "sources"]
    sources = document["sources"]
    assert sources["providers.groq.api_key"] == "LLMSPELL_GROQ_API_KEY"
    assert sources["providers.candle.max_concurrent"] == "profile candle"


def test_an_unknown_section_ends_with_3(show: Show) -> None:
    done = show("x")
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("Error: Unknown config section 'x'. Available: default_engine, ")
    assert show("x", "--json").error["details"]["section"] == "x"


def test_flags_of_the_kernel_are_settings_too(kernel: KernelProcess) -> None:
    target = str(kernel.started["connection_file"])
    document = llmspell("--connect", target, "config", "show", "kernel", "--sources", "--json").document
    assert (document["config"]["port"], document["sources"]["kernel.port"]) == (0, "command line")


def test_a_value_that_a_reload_could_not_change_is_said_to_be_the_old_one(home: Path) -> None:
    Path("llmspell.toml").write_text("models.memory_budget_bytes = 1000000000\nmodels.max_queue = 5\n")
    kernel = KernelProcess()
    Path("llmspell.toml").write_text("models.max_queue = 6\nmodels.memory_budget_bytes = 2000000000\n")
    with kernel.client() as client:
        client.request("kernel_request", {"action": "reload_config"}).result()
    target = str(kernel.started["connection_file"])
    document = llmspell("--connect", target, "config", "show", "models", "--sources", "--json").document
    kernel.stop()
    shown = {key: (document["config"][key], document["sources"][f"models.{key}"]) for key in document["config"]}
    assert shown["max_queue"] == (6, "llmspell.toml:1")
    assert shown["memory_budget_bytes"] == (1_000_000_000, "before the reload; llmspell.toml:2 after a restart")


def test_a_profile_beside_a_connection_is_said_to_have_no_effect(kernel: KernelProcess) -> None:
    done = llmspell("-p", "ollama", "--connect", str(kernel.started["connection_file"]), "config", "show", "models")
    assert done.status == 0
    assert "Warning: profile 'ollama' is not applied to the connected kernel" in done.err


def test_the_output_alone_is_what_other_programs_read(home: Path) -> None:
    assert llmspell("-p", "minimal", "config", "show", "--format", "json").document["default_engine"] == "lua"
    out = llmspell("-p", "minimal", "config", "show").out
    assert out.startswith("# Full configuration (profile minimal)\n")
    tomllib.loads(out)
    assert llmspell("config", "show").out.startswith("# Full configuration (zero configuration)\n")


def test_a_script_is_not_told_the_configuration() -> None:
    assert actions("kernel")["config"].right == "admin"
    assert "admin" not in SCRIPT_CAPABILITIES


PROBE = """
import json, sys
from llmspell_cli.root import run
status = run(json.loads(sys.argv[1]))
print(json.dumps([status, sorted(sys.modules)]), file=sys.__stderr__)
"""

ENGINES = {"xllamacpp", "llama_cpp", "torch", "transformers", "lupa", "ollama", "httpx", "httpx2", "huggingface_hub"}


def imported(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(words)], capture_output=True, text=True, check=True, timeout=60
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    return set(modules)


def test_showing_the_configuration_imports_no_engine_and_no_provider(home: Path) -> None:
    modules = imported("config", "show")
    assert modules & {*ENGINES, "rich", "llmspell_providers", "llmspell_kernel.services.models"} == set()


def test_a_connected_client_needs_neither_schema_nor_pydantic(kernel: KernelProcess) -> None:
    modules = imported("--connect", str(kernel.started["connection_file"]), "config", "show", "--sources")
    assert (
        modules & {*ENGINES, "pydantic", "llmspell_kernel", "llmspell_profiles.schema.settings", "asyncio", "rich"}
        == set()
    )


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False), ("", False)])
def test_at_a_terminal_init_asks_before_it_overwrites(home: Path, answer: str, written: bool) -> None:
    Path("llmspell.toml").write_text("# mine\n")
    command = AtTerminal(["config", "init"])
    command.wait_for("Configuration file already exists: llmspell.toml. Overwrite? [y/N]: ")
    command.type(f"{answer}\n")
    command.wait_for("✓ Created configuration file: llmspell.toml" if written else "Cancelled")
    assert command.end() == 0
    assert (Path("llmspell.toml").read_text() == "# mine\n") is not written


def test_at_the_end_of_input_nothing_is_overwritten(home: Path) -> None:
    Path("llmspell.toml").write_text("# mine\n")
    command = AtTerminal(["config", "init"])
    command.wait_for("[y/N]: ")
    command.type("\x04")
    command.wait_for("Hint: use --force")
    assert command.end() == 1
    assert Path("llmspell.toml").read_text() == "# mine\n"


def test_ctrl_c_at_the_question_overwrites_nothing_and_ends_its_line(home: Path) -> None:
    Path("llmspell.toml").write_text("# mine\n")
    command = AtTerminal(["config", "init"])
    command.wait_for("[y/N]: ")
    command.type("\x03")
    command.wait_for("\r\nCancelled\r\n")
    assert command.end() == 130
    assert Path("llmspell.toml").read_text() == "# mine\n"


def test_a_client_gets_the_section_as_plain_data(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        content = client.request("kernel_request", {"action": "config", "section": "kernel.security"}).result().content
        assert content["config"] == {"hmac": "always", "curve": "auto", "allow_remote": False}
        assert content["path"] == ["kernel", "security"]
        assert (content["profile"], content["config_file"], content["origin"]) == (None, None, "zero configuration")
        with pytest.raises(NotFound):
            client.request("kernel_request", {"action": "config", "section": "nope"}).result()
