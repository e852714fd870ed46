"""Shell completion: the scripts that `llmspell completion` prints, and the answers that they ask for.

Click's own machinery, with three things set right: words that bash divides at `:` and `@` (model names), values behind
`--option=`, and words that are not a command line of llmspell. Loads no more than the commands that are being typed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import click
from click import shell_completion
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from llmspell_cli.invocation import Collected
from llmspell_protocol.errors import LlmspellError

PROGRAM = "llmspell"
VARIABLE = "_LLMSPELL_COMPLETE"
"""Click's convention: the scripts run the program with `SHELL_complete` in it."""

_BREAKS_OF_BASH = "\"'@><=;|&(:"
"""What bash has in COMP_WORDBREAKS beside white space, unless the user has changed it."""


class _Whole(ShellComplete):
    """Values are whole words, as the user sees them."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """What can stand for the incomplete word; nothing where the words before it are not a command line."""
        try:
            items = super().get_completions(args, incomplete)
        except (click.ClickException, LlmspellError):
            return []
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("--"):
            for item in items:
                item.value = f"{option}={item.value}"
        return items


class Bash(_Whole, BashComplete):
    """Bash: the command line is divided here and not by bash, which would break `smollm2:135m` at its colon."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n'
    local response type value

    response=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
%(complete_var)s=bash_complete $1)

    for completion in $response; do
        IFS=',' read type value <<< "$completion"

        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=($value)
        fi
    done

    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words up to the cursor, and the one at it."""
        line = os.environ["COMP_WORDS"]
        words = shell_completion.split_arg_string(line)
        incomplete = words.pop() if words[1:] and not line[-1:].isspace() else ""
        return words[1:], incomplete

    def complete(self) -> str:
        """As bash wants them: readline replaces only what stands behind the last of its breaks."""
        args, incomplete = self.get_completion_args()
        breaks = os.environ.get("COMP_WORDBREAKS") or _BREAKS_OF_BASH
        kept = incomplete[: 1 + max(incomplete.rfind(character) for character in breaks)]
        before, as_typed, _ = os.environ["COMP_WORDS"].rpartition(incomplete or " ")
        if not as_typed or before[-1:] in "\"'":
            kept = ""  # A word in quotes is whole for readline too.
        items = self.get_completions(args, incomplete)
        for item in items:
            item.value = item.value.removeprefix(kept)
        return "\n".join(self.format_completion(item) for item in items)


class Zsh(_Whole, ZshComplete):
    """Zsh."""


class Fish(_Whole, FishComplete):
    """Fish."""


SHELLS: Mapping[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def source(shell: str, cli: click.Command) -> str:
    """The script that makes a shell complete our command lines."""
    return SHELLS[shell](cli, {}, PROGRAM, VARIABLE).source()


def answer(instruction: str, cli: click.Command) -> str | None:
    """The answer to the completion script's instruction `SHELL_complete`; None for an unknown instruction."""
    shell, _, doing = instruction.partition("_")
    if shell not in SHELLS or doing != "complete":
        return None
    return SHELLS[shell](cli, {"obj": Collected([], {})}, PROGRAM, VARIABLE).complete()
