"""`llmspell version`."""

from __future__ import annotations

import platform
from typing import Any

import click

from llmspell_cli import version_info as release
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import Unsupported
from llmspell_protocol.messages import METADATA_KEY, PROTOCOL_VERSION

COMPONENTS = ("cli", "kernel", "bridge", "all")


@click.command(
    "version",
    cls=Command,
    examples=(
        ("llmspell version --verbose", "engines and backends too"),
        ("llmspell version --connect auto", "the kernel's too"),
        ("llmspell version --short", "the number alone"),
    ),
)
@click.option("-v", "--verbose", is_flag=True, help="Commit, Python, platform, protocol, engines and backends too.")
@click.option("--component", type=click.Choice(COMPONENTS), default="all", help="Only this part.", metavar="PART")
@click.option("--short", is_flag=True, help="The number alone.")
@click.option("--client", is_flag=True, help="The client alone.")
def version(options: Options, verbose: bool, component: str, short: bool, client: bool) -> None:
    """Show versions; with --connect the kernel's too."""
    output = Output(options)
    asked = options.connect is not None and component != "cli" and not (short or client)
    if client:
        _client(output)
    elif short and not output.json:
        output.line(release.number())
    elif output.json:
        output.document(_document(_kernel(options, output) if asked else None))
    else:
        _text(output, component, _kernel(options, output) if asked else None, verbose=verbose)


def _client(output: Output) -> None:
    number = release.number()
    if output.json:
        fields = {"version": number, "gitCommit": release.git()["commit"], "platform": platform.platform()}
        output.document({"clientVersion": fields})
    else:
        output.line(f"Client Version: llmspell {number}")


def _text(output: Output, component: str, kernel: dict[str, Any] | None, *, verbose: bool) -> None:
    git = release.git()
    commit = f" ({git['commit']} {git['date']})" if git["commit"] else ""
    # All parts have one version, unless the kernel is another process.
    if component != "kernel" or kernel is None:
        output.line(f"llmspell {release.number()}{commit}")
    if kernel is not None:
        output.line(f"kernel   {kernel['version']} at {kernel['address']}")
    if not verbose:
        return
    changed = " (with changes)" if git["dirty"] else ""
    output.properties(
        [
            ("branch", f"{git['branch']}{changed}" if git["branch"] else "-"),
            ("python", f"{platform.python_version()} on {platform.platform()}"),
            ("protocol", PROTOCOL_VERSION),
            ("engines", _listed(_engines())),
            ("backends", _listed(_backends())),
        ]
    )


def _listed(parts: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {number or 'not installed'}" for name, number in parts.items())


def _document(kernel: dict[str, Any] | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": release.number(),
        "git": release.git(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "protocol": PROTOCOL_VERSION,
        "engines": _engines(),
        "backends": _backends(),
    }
    return document if kernel is None else {**document, "kernel": kernel}


def _kernel(options: Options, output: Output) -> dict[str, Any]:
    """The connected kernel's version; warns where it speaks another major version of the protocol."""
    from llmspell_cli.connect import session

    try:
        with session(options, output) as opened:
            info, address = opened.client.kernel_info, opened.client.info.address
    except Unsupported as refusal:
        # Every other command ends here; this one is for finding out why.
        if "kernel_info" not in refusal.details:
            raise
        info, address = refusal.details["kernel_info"], refusal.details["address"]
    ours = info.get(METADATA_KEY) or {}
    theirs = ours.get("protocol")
    if theirs is not None and str(theirs).partition(".")[0] != PROTOCOL_VERSION.partition(".")[0]:
        output.warning(f"the kernel at {address} speaks protocol {theirs}, this client {PROTOCOL_VERSION}")
    return {
        "address": address,
        "implementation": info.get("implementation"),
        "version": ours.get("version") or info.get("implementation_version"),
        "protocol": theirs,
        "backends": ours.get("backends"),
    }


def _engines() -> dict[str, str | None]:
    lupa = _installed("lupa")
    return {"lua": f"5.4 (lupa {lupa})" if lupa else None, "javascript": None}


def _backends() -> dict[str, str | None]:
    return {name: _installed(name) for name in ("xllamacpp", "llama-cpp-python", "torch", "ollama")}


def _installed(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
