"""The top level of the command line, and the one place where errors become exit statuses.

Start-up is a feature: nothing here or in the modules it imports loads the kernel, providers, settings, asyncio,
pydantic or rich; a command's module is imported when the command is called.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from llmspell_cli.groups import LazyGroup
from llmspell_cli.invocation import Collected
from llmspell_cli.options import global_parameters
from llmspell_cli.other_words import INSTEAD, spelt_out
from llmspell_protocol.errors import InvalidRequest, LlmspellError

COMMANDS = {
    "run": ("llmspell_cli.commands.run:run", "Run a script."),
    "debug": ("llmspell_cli.commands.debug:debug", "Run a script in the debugger."),
    "exec": ("llmspell_cli.commands.exec:exec_code", "Run a piece of code."),
    "repl": ("llmspell_cli.commands.repl:repl", "Run inputs as you type them."),
    "chat": ("llmspell_cli.commands.chat:chat", "Talk to a model."),
    "embed": ("llmspell_cli.commands.embed:embed", "Turn texts into vectors."),
    "rag": ("llmspell_cli.commands.rag:rag", "Find passages in documents, and answer from them."),
    "model": ("llmspell_cli.commands.model:model", "List, pull, load and inspect models."),
    "tool": ("llmspell_cli.commands.tool:tool", "List, inspect and call tools."),
    "workflow": ("llmspell_cli.commands.workflow:workflow", "Run workflows, resume those that were cut."),
    "state": ("llmspell_cli.commands.state:state", "Show and change what scripts keep."),
    "session": ("llmspell_cli.commands.session:session", "Read, search and replay what was recorded."),
    "events": ("llmspell_cli.commands.events:events", "Follow what scripts and the kernel tell."),
    "kernel": ("llmspell_cli.commands.kernel:kernel", "Start, stop and watch kernels."),
    "config": ("llmspell_cli.commands.config:config", "Write, check and show the configuration."),
    "jupyter": ("llmspell_cli.commands.jupyter:jupyter", "Make the kernel known to Jupyter."),
    "keys": ("llmspell_cli.commands.keys:keys", "Keep API keys of providers."),
    "doctor": ("llmspell_cli.commands.doctor:doctor", "Look for what doesn't work on this machine."),
    "completion": ("llmspell_cli.commands.completion:completion", "Print a shell's completion script."),
    "version": ("llmspell_cli.commands.version:version", "Show versions."),
}

PROFILES_HELP = """\
Use --profile (-p) to load builtin configurations:
  -p minimal     - Tools only, no LLM providers
  -p development - Verbose logging, debugging enabled
  -p ollama      - Ollama local LLM backend
  -p candle      - Candle local LLM backend
  -p rag-dev     - RAG development settings
  -p rag-prod    - RAG production settings
  -p rag-perf    - RAG performance settings
  -p providers   - OpenAI/Anthropic provider setup
  -p state       - State persistence with memory backend
  -p sessions    - Sessions + state + hooks + events
"""


class Root(LazyGroup):
    """The top level: shows the global options, and understands words of other programs."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, itself or as an alias; `help COMMAND` is `COMMAND --help`."""
        if args[0] == "help":
            path = [word for word in args[1:] if not word.startswith("-")]
            if not path:
                click.echo(ctx.get_help())
                ctx.exit()
            args = [*path, "--help"]
        elif args[0] in self.lazy and args[0] != "run":
            return super().resolve_command(ctx, args)
        return super().resolve_command(ctx, spelt_out(args))

    def unknown(self, ctx: click.Context, name: str) -> InvalidRequest:
        """The error for an unknown command."""
        if name in INSTEAD:
            return InvalidRequest(f"'{name}' is not part of llmspell", hint=INSTEAD[name])
        # Needed for a line that failed only.
        from llmspell_cli.other_words import meant_as_argument

        if (meant := meant_as_argument(name)) is not None:
            return InvalidRequest(f"unknown command '{name}'", hint=meant)
        for group in ("model", "tool", "state", "workflow", "session", "kernel", "config", "keys", "rag"):
            command = self.get_command(ctx, group)
            if isinstance(command, LazyGroup) and name in (*command.lazy, *command.aliases):
                own = command.aliases.get(name, name)
                return InvalidRequest(f"unknown command '{name}'", hint=f"llmspell {group} {own}")
        error = super().unknown(ctx, name)
        if str(error.hint).endswith("--help"):
            error.hint = f"{error.hint} lists the commands; to ask it: llmspell chat {name}"
        return error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, and the block on profiles word for word."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write(PROFILES_HELP)


root = Root(
    "llmspell",
    COMMANDS,
    params=global_parameters(hidden=False),
    help="Local language models behind a kernel: talk to them, script them, serve them to notebooks.",
    subcommand_metavar="COMMAND [ARGUMENTS]...",
    examples=(
        ("llmspell model pull smollm2:135m", "get a small model"),
        ("llmspell chat smollm2:135m", "talk to it"),
        ("llmspell run script.lua -- --name world", "a script with arguments"),
        ("llmspell model list --json | jq .count", "for programs"),
    ),
)


def run(words: list[str]) -> int:
    """Runs one command line and returns its exit status; stdout has been flushed."""
    if "_LLMSPELL_COMPLETE" in os.environ:
        return _complete(os.environ["_LLMSPELL_COMPLETE"])
    said = Collected(words, os.environ)
    sys.excepthook = _defect(said)
    try:
        status = _invoke(words, said)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has closed the pipe. The interpreter flushes stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full disk behind stdout, most likely: told here, since an interpreter that can't flush says 120 at its end.
        from llmspell_cli.errors import report_defect

        return report_defect(error, said)
    return status


def _complete(instruction: str) -> int:
    """Answers a shell's completion script, as Click's own entry point would."""
    from llmspell_cli.completion.shells import answer

    told = answer(instruction, root)
    if told is None:
        return 1
    sys.stdout.write(told + "\n")
    sys.stdout.flush()
    return 0


def _invoke(words: list[str], said: Collected) -> int:
    try:
        with root.make_context("llmspell", words, obj=said) as ctx:
            result = root.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (LlmspellError, click.ClickException) as error:
        # The reporting code is not needed by commands that succeed.
        from llmspell_cli.errors import report

        return report(error, said)
    except KeyboardInterrupt:
        from llmspell_cli.endings import Interrupted
        from llmspell_cli.errors import report

        return report(Interrupted("Cancelled"), said)
    return result if isinstance(result, int) else 0


def _defect(said: Collected) -> Any:
    """The hook for unexpected exceptions: shows a traceback only where debugging was asked for."""

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        from llmspell_cli.errors import report_defect

        report_defect(error, said)

    return hook
