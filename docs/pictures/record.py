"""Takes the pictures of this folder: types commands into a real terminal (tmux) and draws what it shows as SVG.

`make pictures`; needs tmux. Everything happens in a home of its own; the model is pulled from the package index.
`python docs/pictures/record.py --columns 60 --light --to DIRECTORY pull chat help` looks at other widths and grounds.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
DEADLINE_S = 60.0
PROMPT = "$ "
FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"


class Terminal:
    """A terminal of the given size with a shell in it; its pictures go to a folder."""

    def __init__(self, directory: Path, *, columns: int, lines: int, theme: TerminalTheme, pictures: Path) -> None:
        self._socket = directory / "tmux"
        self.columns = columns
        self._theme = theme
        self._pictures = pictures
        programs = str(Path(sys.executable).parent)
        self._environment = {
            "LLMSPELL_CLI__AUTOSTART": "never",
            **{name: value for name, value in os.environ.items() if not name.startswith("LLMSPELL_")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(directory),
            "LLMSPELL_HOME": str(directory / ".llmspell"),
            "LANG": "C.UTF-8",
        }
        (directory / ".prompt").write_text(f"PS1='{PROMPT}'\n")
        shape = ["-x", str(columns), "-y", str(lines)]
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", *shape, "-c", str(directory), f"bash --rcfile {directory}/.prompt"
        )
        self._tmux("set", "-g", "status", "off")
        self._tmux("set", "-g", "default-terminal", "tmux-256color")
        self.wait(lambda text: text.startswith(PROMPT.strip()))

    def type(self, text: str) -> None:
        """Types the text and Enter."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def key(self, name: str) -> None:
        """Presses one key, by tmux's name for it: `C-c`, `C-d`, `Tab`."""
        self._tmux("send-keys", name)

    def wait(self, seen: Callable[[str], bool]) -> None:
        """Waits until the screen is as told; tmux has no event for that."""
        end = time.monotonic() + DEADLINE_S
        while not seen(text := self._tmux("capture-pane", "-p")):
            if time.monotonic() > end:
                raise TimeoutError(f"the terminal still shows:\n{text}")
            time.sleep(0.05)

    def wait_for(self, text: str) -> None:
        """Waits until the text stands somewhere."""
        self.wait(lambda screen: text in screen)

    def wait_for_prompt(self) -> None:
        """Waits until the shell asks for the next command."""
        self.wait(lambda screen: screen.rstrip().splitlines()[-1] == PROMPT.strip())

    def clear(self) -> None:
        """Empties the screen."""
        self._tmux("send-keys", "C-l")
        self.wait(lambda screen: screen.strip() == PROMPT.strip())

    def picture(self, name: str, title: str) -> None:
        """Draws the screen into `NAME.svg`."""
        shown = Text.from_ansi(self._tmux("capture-pane", "-e", "-p").rstrip())
        console = Console(width=self.columns, record=True, file=open(os.devnull, "w"))  # noqa: SIM115 — nothing to close
        console.print(shown)
        drawn = console.export_svg(title=title, theme=self._theme, unique_id=name)
        # A reader's own monospace font, and nothing from elsewhere.
        drawn = re.sub(r"\n *@font-face \{.*?\n    \}", "", drawn, flags=re.DOTALL)
        drawn = drawn.replace("Fira Code, monospace", FONTS)
        (self._pictures / f"{name}.svg").write_text(drawn, encoding="utf-8")

    def close(self) -> None:
        """Ends the shell and what runs in it."""
        self._tmux("kill-server")

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words],
            capture_output=True,
            text=True,
            check=True,
            env=self._environment,
        )
        return done.stdout


@contextmanager
def terminal(
    directory: Path, *, columns: int, theme: TerminalTheme, pictures: Path, lines: int = 60
) -> Iterator[Terminal]:
    """A terminal that is closed at the end."""
    opened = Terminal(directory, columns=columns, lines=lines, theme=theme, pictures=pictures)
    try:
        yield opened
    finally:
        opened.close()


def pull(screen: Terminal) -> None:
    """`model pull` half-way, and done."""
    screen.type("llmspell model pull smollm2:135m")
    screen.wait(lambda text: any(f" {done} %" in text for done in range(20, 80)))
    screen.picture("pull-running", "llmspell model pull")
    screen.wait_for("Downloaded")
    screen.wait_for_prompt()
    screen.type("llmspell model list -v")
    screen.wait_for("MODIFIED")
    screen.wait_for_prompt()


def chat(screen: Terminal) -> None:
    """A conversation: a reply, one that Ctrl-C cuts, its numbers."""
    screen.clear()
    screen.type("llmspell chat")
    screen.wait(lambda text: text.rstrip().endswith("\n>"))
    # The small model's likeliest answer is right.
    screen.type("/set temperature 0")
    screen.wait_for("temperature = 0")
    screen.type("What is the capital of Japan?")
    screen.wait_for("Tokyo.")
    screen.type("/stats")
    screen.wait_for("tokens/s")
    screen.type("Write a long poem about the sea.")
    screen.wait(lambda text: len(text.partition("about the sea.")[2].strip()) > 240)
    screen.key("C-c")
    screen.wait_for("[cancelled]")
    screen.type("/show")
    screen.wait_for("messages: 4")
    screen.picture("chat", "llmspell chat")
    screen.key("C-d")
    screen.wait_for_prompt()


def repl(screen: Terminal) -> None:
    """Lua at a prompt: values, several lines, an error, a model, Ctrl-C."""
    screen.clear()
    screen.type("llmspell repl")
    screen.wait(lambda text: text.rstrip().endswith("\n>"))
    for line, answer in (
        ("x = 20 + 1", "> "),
        ("x * 2", "42"),
        ("for i = 1, 2 do", "..."),
        ("  print(i, 'squared is', i * i)", "..."),
        ("end", "2\tsquared is"),
        ("Agnt.create{}", "did you mean"),
        ("LocalLLM.list()[1].id", "smollm2"),
    ):
        screen.type(line)
        screen.wait(lambda text, answer=answer: answer.expandtabs() in text.expandtabs())  # type: ignore[misc]
    screen.type("while true do end")
    screen.wait_for("while true do end")
    screen.key("C-c")
    screen.wait_for("Interrupted")
    screen.picture("repl", "llmspell repl")
    screen.key("C-d")
    screen.wait_for_prompt()


def watch(screen: Terminal) -> None:
    """`kernel status --watch` over two kernels."""
    screen.clear()
    for number in (9555, 9655):
        screen.type(f"llmspell kernel start --port {number} --daemon")
        screen.wait_for(f"Address:         127.0.0.1:{number}")
        screen.wait_for_prompt()
    screen.type("llmspell --connect port-9655 model load smollm2:135m")
    screen.wait_for("Loaded")
    screen.wait_for_prompt()
    screen.clear()
    screen.type("llmspell kernel status --watch --interval 1")
    screen.wait_for("port-9655")
    screen.picture("status", "llmspell kernel status --watch")
    screen.key("C-c")
    screen.wait_for_prompt()


def doctor(screen: Terminal) -> None:
    """`doctor`, with the kernels of `watch` running, which it stops."""
    screen.clear()
    screen.type("llmspell doctor")
    screen.wait_for("failed")
    screen.wait_for_prompt()
    screen.picture("doctor", "llmspell doctor")
    screen.clear()
    screen.type("llmspell kernel stop --all")
    screen.wait_for("kernel(s)")
    screen.wait_for_prompt()


def help_texts(screen: Terminal) -> None:
    """Help of the program, and of a chat's prompt; to be looked at, not for the pages."""
    screen.clear()
    screen.type("llmspell --help")
    screen.wait_for("EXAMPLES")
    screen.wait_for_prompt()
    screen.picture("help", "llmspell --help")
    screen.clear()
    screen.type("llmspell chat")
    screen.wait(lambda text: text.rstrip().endswith("\n>"))
    screen.type("/help")
    screen.wait_for('"""')
    screen.picture("chat-help", "llmspell chat")
    screen.key("C-d")
    screen.wait_for_prompt()


SCENES: dict[str, Callable[[Terminal], None]] = {
    "pull": pull,
    "chat": chat,
    "repl": repl,
    "watch": watch,
    "doctor": doctor,
}
"""Those of the pages, in their order: `chat` needs the model that `pull` pulls, `doctor` stops what `watch` starts."""


def main() -> None:
    """Takes the pages' pictures, or those that are named, in the order given."""
    parser = argparse.ArgumentParser(description="takes pictures of the terminal")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--light", action="store_true", help="on a light ground")
    parser.add_argument("--to", type=Path, default=HERE, metavar="DIRECTORY")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"{', '.join(SCENES)}, help")
    said = parser.parse_args()
    said.to.mkdir(parents=True, exist_ok=True)
    theme = DEFAULT_TERMINAL_THEME if said.light else MONOKAI
    scenes = {**SCENES, "help": help_texts}
    with (
        tempfile.TemporaryDirectory(prefix="pictures-", dir="/tmp", ignore_cleanup_errors=True) as directory,
        terminal(Path(directory), columns=said.columns, theme=theme, pictures=said.to) as screen,
    ):
        for name in said.scenes or SCENES:
            scenes[name](screen)


if __name__ == "__main__":
    main()
