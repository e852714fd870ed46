"""`llmspell model pull`."""

from __future__ import annotations

from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.options import Command, Options, timeout_option
from llmspell_cli.output import Output
from llmspell_cli.progress import ProgressView
from llmspell_cli.session import Content, document
from llmspell_cli.text import size

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
    with session(options, output) as opened, ProgressView(output, "model pull", model) as view:
        resumed = _Resumed(output)

        def on_progress(content: Content) -> None:
            view.show(content)
            resumed.look_at(content)
            if not output.json and (news := _news(content)):
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
    """Says once that a pull goes on where another one ended: its first progress does not begin at zero."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._seen = False

    def look_at(self, content: Content) -> None:
        """Takes one progress content."""
        if self._seen or content.get("phase") != "downloading":
            return
        self._seen = True
        done = content.get("bytes_downloaded") or 0
        if done and not self._output.json:
            self._output.note(f"Resuming at {size(done)}")


def _news(content: Content) -> list[str]:
    """What is told beside the bar: the files that will come, before they do; why these; and what is waited for."""
    files = content.get("files") or []
    width = max((len(file["name"]) for file in files), default=0)
    lines = [f"{file['name']:<{width}}  {size(file['size_bytes'])}" for file in files]
    if len(files) > 1:
        lines.append(f"{f'{len(files)} files':<{width}}  {size(content.get('bytes_total') or 0)}")
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
    """The model's name; of a whole repository the repository's, since that is where its files are looked up."""
    source = str(reply.get("source") or "")
    repository, _, rest = source.removeprefix("hf://").partition("@")
    whole = source.startswith("hf://") and repository.count("/") == 1 and "/" not in rest
    return repository if whole else str(reply["model_id"])
