"""What can be typed at a chat's prompt besides messages: commands that begin with a slash, and what Tab offers.

Each takes the rest of its line and shows what it did. Knows the conversation and its kernel; no line editor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from llmspell_cli.chat.conversation import SAMPLING, USUAL, Conversation, stats_line
from llmspell_cli.chat.kernel_link import KernelLink
from llmspell_cli.chat.prompt_words import likeness
from llmspell_cli.chat.reply_options import image_file
from llmspell_cli.terminal.candidates import Candidates, beginning_with, paths
from llmspell_cli.terminal.history_file import HistoryFile
from llmspell_cli.terminal.input_text import file_text
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound, Unsupported
from llmspell_protocol.model_options import option_from_text
from llmspell_protocol.user_home import expanded_user

QUOTES = '"""'
EXITS = ("/exit", "/bye")
OTHER_WORDS = {"/quit": "/exit", "/q": "/exit", "/?": "/help"}
"""What other programs call some of them; neither /help nor Tab lists it."""
HELP = (
    ("/help", "this list"),
    ("/retry", "answer the last message again"),
    ("/undo", "take the last message and its reply back"),
    ("/clear", "forget the conversation"),
    ("/model [MODEL]", "go on with another model; without MODEL: which are there"),
    ("/system [TEXT|@FILE]", "set the system prompt; without TEXT: remove it"),
    ("/set [NAME [VALUE]]", "show all options, or one; or set one"),
    ("/unset NAME", "leave an option to the model again"),
    ("/image FILE", "show an image to the model, with the next message"),
    ("/think [on|off]", "have the model think first, or not; without a word: as it likes"),
    ("/tool [NAME|off]", "let the model call a tool; off: none; without NAME: which it may call"),
    ("/verbose [on|off]", "show what calls of tools give"),
    ("/markdown [on|off]", "show headings, lists, bold and code as they are meant"),
    ("/show", "model, kernel, system prompt, options, messages"),
    ("/save [FILE]", "write the conversation; /save! asks nothing"),
    ("/load FILE", "go on with a saved conversation"),
    ("/stats", "numbers of the last reply; /set verbose: after each one"),
    ("/history [clear]", "what was typed, in earlier chats too; or forget it"),
    ("/exit, /bye", "leave (Ctrl+D too)"),
    (QUOTES, "begins and ends a message of several lines, or one that begins with /"),
)
_SHOWN_MESSAGE = 60
"""Characters of a message that a hint repeats."""
_SHOWN_INPUTS = 20


class SlashCommands:
    """Obeys one command at a time. `retry` answers the last message again, `confirm` asks a question."""

    def __init__(
        self,
        link: KernelLink,
        output: Output,
        conversation: Conversation,
        history: HistoryFile,
        *,
        markdown: bool,
        stats: bool = False,
        retry: Callable[[], None],
        confirm: Callable[[str], bool],
    ) -> None:
        self._link = link
        self._output = output
        self._conversation = conversation
        self._history = history
        self._confirm = confirm
        self.markdown = markdown
        """Whether replies are shown as they are meant."""
        self.stats = stats
        """Whether each reply's numbers are shown below it."""
        self.verbose = False
        """Whether results of tools are shown."""
        self.images: list[str] = []
        """Images for the next message, whole files in base64."""
        self._file: str | None = None
        """Where the conversation was last saved to or loaded from."""
        self._models: list[str] | None = None
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/retry": lambda _rest: retry(),
            "/undo": self._undo,
            "/clear": self._clear,
            "/model": self._model,
            "/system": self._system,
            "/set": self._set,
            "/unset": self._unset,
            "/image": self._image,
            "/think": self._think,
            "/tool": self._tool,
            "/verbose": self._verbose,
            "/markdown": self._markdown,
            "/show": self._show,
            "/save": self._save,
            "/save!": self._save_without_asking,
            "/load": self._load,
            "/stats": self._stats,
            "/history": self._show_history,
        }

    def obey(self, word: str, rest: str) -> None:
        """Runs a command.

        Raises:
            InvalidRequest: there is none of this name; the hint tells how to say it to the model.
            LlmspellError: it failed.
        """
        command = self._commands.get(OTHER_WORDS.get(word, word))
        if command is not None:
            command(rest)
            return
        # Only a misspelt command needs it.
        from difflib import get_close_matches

        close = get_close_matches(word, [*self._commands, *EXITS], n=1)
        text = f"{word} {rest}".strip()
        said = text if len(text) <= _SHOWN_MESSAGE and "\n" not in text else "…"
        meant = f"did you mean {close[0]}?" if close else "/help"
        raise InvalidRequest(f"unknown command {word}", hint=f"{meant}; to say it: {QUOTES}{said}{QUOTES}")

    def offer(self, text: str, cursor: int) -> Candidates:
        """What Tab offers with the cursor at this character: commands, models, names of options, files."""
        before = text[:cursor]
        word, space, rest = before.partition(" ")
        if not space:
            names = (name if _stands_alone(name) else f"{name} " for name in (*self._commands, *EXITS))
            return Candidates(beginning_with(names, word) if word.startswith("/") else (), 0)
        start = cursor - len(rest)
        if word in ("/save", "/save!", "/load", "/image"):
            return Candidates(paths(rest), start)
        if word == "/system" and rest.startswith("@"):
            return Candidates(paths(rest[1:]), start + 1)
        if word == "/model":
            return Candidates(beginning_with(self._model_names(), rest), start)
        if word in ("/set", "/unset") and " " not in rest:
            options = [f"{name} " for name in SAMPLING] if word == "/set" else list(self._conversation.sampling)
            return Candidates(beginning_with(options, rest), start)
        if word == "/tool":
            return Candidates(beginning_with(("off", *self._tool_names()), rest), start)
        on_or_off = dict.fromkeys(("/markdown", "/think", "/verbose"), ("off", "on"))
        words = {**on_or_off, "/history": ("clear",)}.get(word, ())
        return Candidates(beginning_with(words, rest), start)

    def _model_names(self) -> list[str]:
        if self._models is None:
            try:
                listed = self._link.session.model("list")["models"]
            except LlmspellError:
                return []  # A list that can't be had is not what Tab was asked for.
            self._models = sorted({f"{model['id']}@{model['backend']}" for model in listed})
        return self._models

    def _tool_names(self) -> list[str]:
        try:
            return [
                tool["name"] for tool in self._link.session.ask("tool_request", {"action": "list"}).content["tools"]
            ]
        except LlmspellError:
            return []  # As with models.

    def _help(self, _rest: str) -> None:
        self._output.definitions(HELP)

    def _undo(self, _rest: str) -> None:
        taken = self._conversation.undo()
        self._output.lines(f"Taken back: {taken['content']}" if taken is not None else "There is nothing to take back")

    def _clear(self, _rest: str) -> None:
        self._conversation.messages.clear()
        self._output.line("Conversation forgotten")

    def _model(self, rest: str) -> None:
        if not rest:
            self._output.line(f"Chatting with {self._conversation.model}. There are:")
            listed = self._link.session.model("list")["models"]
            # As `model list` shows them.
            self._output.table(("NAME", "BACKEND"), [(one["id"], one["backend"]) for one in listed], heading=False)
            return
        info = self._link.session.model("info", model=rest)
        self._conversation.model = f"{info['id']}@{info['backend']}"
        self._output.line(f"Chatting with {self._conversation.model}")

    def _system(self, rest: str) -> None:
        self._conversation.system = (file_text(rest[1:]).strip("\r\n") if rest.startswith("@") else rest) or None
        self._output.line("System prompt set" if rest else "System prompt removed")

    def _set(self, rest: str) -> None:
        # Ollama has words of its own behind /set.
        name, value = _two(rest)
        if name in ("verbose", "quiet"):
            self.stats = name == "verbose"
            self._output.line(f"Numbers are {'shown after each reply' if self.stats else 'shown by /stats alone'}")
            return
        if name == "system":
            self._system(value)
            return
        if name in ("think", "nothink"):
            self._think("on" if name == "think" else "off")
            return
        if name == "parameter":
            name, value = _two(value)
        if "=" in name:
            raise InvalidRequest(
                f"{name}: name and value are two words", hint=f"/set {name.replace('=', ' ', 1)} {value}".rstrip()
            )
        if value:
            if name == "num_ctx":
                self._demand_trained(int(option_from_text(name, value)))
            self._conversation.set(name, value)
        shown = [name] if name else list(SAMPLING)
        values = [(one, self._conversation.option(one)) for one in shown]
        if name:
            self._output.line(f"{name} = {values[0][1]}" if values[0][1] != "-" else f"{name} is not set")
        else:
            self._output.definitions([(one, self._with_usual(one, value)) for one, value in values])

    def _with_usual(self, name: str, value: str) -> str:
        """A value as `/set` lists it: with what is usual where the model is one of ours and nothing was set."""
        ours = str(self._conversation.model).endswith("@candle")
        return f"- (usually {USUAL[name]})" if value == "-" and ours and name in USUAL else value

    def _demand_trained(self, wanted: int) -> None:
        try:
            info = self._link.session.model("info", model=self._conversation.model)
        except LlmspellError:
            return  # The next reply tells what is wrong.
        trained = info.get("context_length")
        if trained is not None and wanted > trained:
            raise InvalidRequest(
                f"num_ctx {wanted} is more than the {trained} tokens that '{info['id']}' was trained for",
                hint=f"/set num_ctx {trained}",
            )

    def _unset(self, rest: str) -> None:
        if not rest:
            raise InvalidRequest("name an option", hint="/unset temperature")
        self._conversation.unset(rest)
        self._output.line(f"{rest} is not set")

    def _image(self, rest: str) -> None:
        if not rest:
            raise InvalidRequest("name a file", hint="/image photo.jpg")
        self.images.append(image_file(rest))
        self._output.line("The model is shown it with your next message")

    def _think(self, rest: str) -> None:
        if rest not in ("", "on", "off"):
            raise InvalidRequest(f"'{rest}' is neither on nor off", hint="/think on")
        if rest == "on":
            self._demand_thinking()
        self._conversation.think = None if not rest else rest == "on"
        said = {None: "thinks as it likes", True: "thinks first", False: "answers at once"}
        self._output.line(f"The model {said[self._conversation.think]}")

    def _demand_thinking(self) -> None:
        """Refuses at once what every message would be refused for."""
        supports = self._link.session.model("info", model=self._conversation.model or "").get("supports") or {}
        if supports.get("think") is False:
            raise Unsupported(
                f"{self._conversation.model} can't be told to think", hint="/model goes on with one that can"
            )

    def _tool(self, rest: str) -> None:
        tools = self._conversation.tools
        if rest == "off":
            tools.names.clear()
        elif rest:
            tools.add(self._link.session, [rest])
        self._output.line(f"The model may call {', '.join(tools.names)}" if tools else "The model may call no tools")

    def _verbose(self, rest: str) -> None:
        if rest not in ("", "on", "off"):
            raise InvalidRequest(f"'{rest}' is neither on nor off", hint="/verbose on")
        self.verbose = not self.verbose if not rest else rest == "on"
        self._output.line(f"What calls of tools give is {'shown' if self.verbose else 'not shown'}")

    def _markdown(self, rest: str) -> None:
        if rest not in ("", "on", "off"):
            raise InvalidRequest(f"'{rest}' is neither on nor off", hint="/markdown on")
        self.markdown = not self.markdown if not rest else rest == "on"
        plain = "" if self._output.color or not self.markdown else " (without colours it can't be shown)"
        self._output.line(f"Markdown is {'shown as it is meant' if self.markdown else 'shown as it is written'}{plain}")

    def _show(self, _rest: str) -> None:
        conversation = self._conversation
        options = ", ".join(f"{name} = {conversation.option(name)}" for name in conversation.sampling)
        without = conversation.unanswered
        note = f" ({without} without a reply, which the model is not sent)" if without else ""
        self._output.line(f"model: {conversation.model}")
        self._output.line(f"kernel: {self._link.place}")
        self._output.line(f"system: {conversation.system or '-'}")
        self._output.line(f"options: {options or '-'}")
        if conversation.tools:
            self._output.line(f"tools: {', '.join(conversation.tools.names)}")
        self._output.line(f"messages: {len(conversation.messages)}{note}")

    def _save(self, rest: str) -> None:
        path = rest or self._file
        if path is None:
            raise InvalidRequest("name a file", hint="/save chat.json")
        if os.path.isdir(expanded_user(path, os.environ)):
            raise InvalidRequest(f"{path} is a directory", hint=f"/save {os.path.join(path, 'chat.json')}")
        is_another = path != self._file and os.path.exists(expanded_user(path, os.environ))
        if is_another and not self._confirm(f"{path} exists. Overwrite it?"):
            self._output.line("Not saved")
            return
        self._write(path)

    def _save_without_asking(self, rest: str) -> None:
        path = rest or self._file
        if path is None:
            raise InvalidRequest("name a file", hint="/save! chat.json")
        self._write(path)

    def _write(self, path: str) -> None:
        self._conversation.save(path)
        self._file = path
        self._output.line(f"Conversation saved to {path}")

    def _load(self, rest: str) -> None:
        if not rest:
            raise InvalidRequest("name a file", hint="/load chat.json")
        try:
            self._conversation.load(rest)
        except NotFound as error:
            # Ollama loads models by this word.
            if likeness(rest) != "text" and not rest.endswith(".json"):
                error.hint = f"if it is a model: /model {rest}"
            raise
        self._file = rest
        self._output.line(f"Conversation loaded from {rest} ({len(self._conversation.messages)} messages)")

    def _stats(self, _rest: str) -> None:
        unfinished = self._conversation.unfinished
        if unfinished is not None:
            came = f"after {len(unfinished.split())} words" if unfinished.strip() else "before its first word"
            self._output.line(f"The last reply ended early, {came}: it was cancelled or failed, and has no numbers")
            return
        last = self._conversation.last
        self._output.line(stats_line(last) if last is not None else "There is no reply yet")

    def _show_history(self, rest: str) -> None:
        if rest == "clear":
            self._history.clear()
            self._output.line("History forgotten")
            return
        if rest:
            raise InvalidRequest(f"'{rest}' is not known here", hint="/history clear")
        entries: Sequence[str] = self._history.entries()[-_SHOWN_INPUTS:]
        for entry in entries:
            self._output.lines(entry.replace("\n", "\n  "))
        if not entries:
            self._output.line("Nothing was typed yet")


def _two(rest: str) -> tuple[str, str]:
    """A first word and what follows."""
    name, _, value = rest.partition(" ")
    return name.strip(), value.strip()


def _stands_alone(name: str) -> bool:
    """Whether nothing follows a command's name."""
    return not any(usage.startswith(f"{name.removesuffix('!')} ") for usage, _ in HELP)
