"""`llmspell model pull`."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import quote

import click

from llmspell_cli.connect import session
from llmspell_cli.endings import resumable
from llmspell_cli.invocation import Options
from llmspell_cli.model_files import is_file, whole
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.session import Content, document
from llmspell_cli.terminal.output import Output, room
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.text import bands, columns, size

HELP = """\
Download a model from the specified backend.

Model specifications follow the format: model:variant@backend
- model: Base model name (e.g., llama3.1, mistral, phi3)
- variant: Model variant/size (e.g., 8b, 7b, 13b)
- backend: Backend to use (ollama or candle)

EXAMPLES:
    llmspell model available                   # List models from backend libraries
    llmspell model pull llama3.1:8b@ollama     # Download Llama 3.1 8B via Ollama
    llmspell model pull mistral:7b@candle      # Download Mistral 7B via Candle
    llmspell model pull phi3@ollama --force    # Force re-download

Browse models online:
  Ollama:  https://ollama.com/library
  Candle:  https://huggingface.co/models?pipeline_tag=text-generation"""

FORMATS = {"gguf": "GGUF", "safetensors": "Safetensors"}


@click.command("pull", cls=Command, help=HELP, verbatim_help=True)
@click.option("-f", "--force", is_flag=True, help="Download again.")
@click.option("--quantization", metavar="Q", help="Quantization (Q4_K_M); a variant in MODEL wins.")
@timeout_option
@click.argument("model", metavar="MODEL")
def pull(options: Options, model: str, force: bool, quantization: str | None, timeout_s: float | None) -> None:
    """Downloads a model and shows how far it is."""
    output = Output(options)
    typed = model
    if is_file(model):
        model = f"file://{quote(whole(model))}"
    with session(options, output) as opened, resumable(typed), ProgressView(output, "model pull", model) as view:
        resumed = _Resumed()

        def on_progress(content: Content) -> None:
            view.show(content)
            news = [] if output.json else [*_news(content, room(sys.stderr)), *resumed.news(content)]
            if news:
                view.clear()
            for line in news:
                output.note(line)

        reply = opened.ask(
            "model_request",
            {"action": "pull", "model": model, "force": force, "quantization": quantization},
            on_progress=on_progress,
            timeout_s=timeout_s,
        )
    _show(output, document(reply))


class _Resumed:
    """Says once that a pull goes on where another one ended: it does not begin at zero, and its bytes are our own."""

    def __init__(self) -> None:
        self._known = False

    def news(self, content: Content) -> list[str]:
        """The line for one progress content, if it is time for it."""
        files = content.get("files")
        if self._known or not (files or content.get("phase") == "downloading"):
            return []
        self._known = True
        is_followed = not files and content.get("reason")  # another process downloads
        done = content.get("bytes_downloaded") or 0
        return [f"Resuming at {size(done)}"] if done and not is_followed else []


def _news(content: Content, width: int | None) -> list[str]:
    """What is told beside the bar: the files that will come, before they do; why these; and what is waited for."""
    files = content.get("files") or []
    rows = [(file["name"], size(file["size_bytes"])) for file in files]
    if len(files) > 1:
        rows.append((f"{len(files)} files", size(content.get("bytes_total") or 0)))
    lines = columns(rows)
    if width is not None and any(len(line) > width for line in lines):
        lines = bands(rows, width)
    return [*lines, content["reason"]] if content.get("reason") else lines


def _show(output: Output, reply: dict[str, Any]) -> None:
    if output.json:
        output.document(reply)
        return
    kind = FORMATS.get(str(reply.get("format")), str(reply.get("format")))
    what = "Already present" if reply.get("download_status") == "already_present" else "Downloaded"
    output.line(f"✓ {what}: {_name(reply)} ({kind})")
    files = reply.get("files") or []
    if len(files) > 1:
        for file in files:
            # Only weights are large enough for their size to say something.
            weight = f" ({size(file['size_bytes'])})" if file["size_bytes"] >= 1_000_000 else ""
            output.line(f"  - {file['name']}{weight}")


def _name(reply: dict[str, Any]) -> str:
    """The model's name; of a whole repository of safetensors the repository's, since its files are looked up there."""
    source = str(reply.get("source") or "") if reply.get("format") == "safetensors" else ""
    repository, _, rest = source.removeprefix("hf://").partition("@")
    whole = source.startswith("hf://") and repository.count("/") == 1 and "/" not in rest
    return repository if whole else str(reply["model_id"])
