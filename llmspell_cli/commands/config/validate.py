"""`llmspell config validate`: every error and warning of a configuration and of the variables, at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import GREEN, RED, YELLOW, Output, fitted
from llmspell_cli.terminal.text import home_path
from llmspell_cli.terminal.visible import visible_lines
from llmspell_protocol.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from llmspell_profiles.checking.validation import Report
    from llmspell_profiles.problems import Remark


@click.command(
    "validate",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell config validate", "what a run would use"),
        ("llmspell config validate --file other.toml", "another file"),
        ("llmspell config validate --strict --json", "for a pipeline"),
    ),
)
@click.option("-f", "--file", "file", metavar="FILE", help="Check this file.")
@click.option("--offline", is_flag=True, help="Don't look whether servers answer.")
@click.option("--strict", is_flag=True, help="Warnings count too.")
def validate(options: Options, file: str | None, strict: bool, offline: bool) -> None:
    """Check the configuration, the variables and the servers in it; exit status 0 means valid."""
    output = Output(options)
    if file is not None and options.profile is not None:
        raise InvalidRequest("Cannot use both --profile and --file")
    if file is not None and options.config not in (None, file, os.environ.get("LLMSPELL_CONFIG")):
        raise InvalidRequest(f"two files are named: {options.config} and {file}")
    # The schema with everything around it takes 100 ms to load.
    from llmspell_profiles.checking.validation import check

    config = file or options.config
    report = check(
        profile=options.profile,
        config=Path(config) if config is not None else None,
        env=os.environ,
        cwd=Path(working_directory()),
    )
    if report.servers and not offline:
        from llmspell_cli.dead_servers import dead_servers

        report = report._replace(warnings=(*report.warnings, *dead_servers(report.servers)))
    unread = [] if config is not None or options.profile is not None else _unread(report)
    if output.json:
        output.document({**_document(report), "not_read": [place for place, _ in unread]})
    else:
        _show(output, report, unread, named=config is not None)
    if report.errors:
        raise ConfigError(f"Configuration validation failed: {_count(len(report.errors), 'error')}")
    if strict and report.warnings:
        raise ConfigError(f"Configuration validation failed: {_count(len(report.warnings), 'warning')} (--strict)")


def _unread(report: Report) -> list[tuple[str, str]]:
    """The other files that are there and not read, with the reason: files are not laid over each other."""
    from llmspell_profiles.loading.home import LOCAL_PLACES, configuration_places, llmspell_home
    from llmspell_profiles.loading.provenance import file_sets_nothing

    found = []
    for place in configuration_places(os.environ, llmspell_home(os.environ)):
        if report.path is None or not place.is_file() or place.resolve() == report.path.resolve():
            continue
        is_idle = str(place) in LOCAL_PLACES and file_sets_nothing(str(place))
        found.append((str(place), "it sets nothing" if is_idle else "the file above counts in its place"))
    return found


def _show(output: Output, report: Report, unread: Sequence[tuple[str, str]], *, named: bool) -> None:
    output.line("Configuration validation:")
    output.line(f"  {_base(report, named=named)}")
    for place, why in unread:
        output.line(f"  Not read: {home_path(place) if os.path.isabs(place) else f'./{place}'} ({why})")
    if report.errors:
        output.shown_line(f"  Status: {output.emphasis('✗ Invalid', RED)}")
    else:
        output.shown_line(f"  Status: {output.emphasis('✓ Valid', GREEN)}")
    for title, mark, color, remarks in (
        ("Errors:", "✗", RED, report.errors),
        ("Warnings:", "⚠", YELLOW, report.warnings),
    ):
        if remarks:
            output.lines(f"\n{title}")
            for line in _lines(remarks):
                shown = fitted(f"  {mark} " + visible_lines(line).replace("\n", "\n    "), sys.stdout)
                output.shown_line(shown.replace(mark, output.emphasis(mark, color), 1))


def _base(report: Report, *, named: bool) -> str:
    if report.file is None:
        return f"Profile: {report.profile}" if report.profile else "File: none (defaults)"
    name = home_path(report.file) if named or os.path.isabs(report.file) else f"./{report.file}"
    return f"File: {name}" + (f" (extends {report.profile})" if report.profile else "")


def _lines(remarks: Sequence[Remark]) -> list[str]:
    """The remarks as text, with the keys of files in one column."""
    lines = [_split(remark) for remark in remarks]
    width = max((len(where) for where, _ in lines), default=0)
    return [f"{where:<{width}} {rest}" if where else rest for where, rest in lines]


def _split(remark: Remark) -> tuple[str, str]:
    file, line = remark.details.get("file"), remark.details.get("line")
    sentence = remark.sentence
    if isinstance(file, str) and os.path.isabs(file):
        sentence = sentence.replace(file, home_path(file))
        file = home_path(file)
    where = f"{file}:{line}"
    return (where, sentence[len(where) + 1 :]) if sentence.startswith(f"{where} ") else ("", sentence)


def _document(report: Report) -> dict[str, Any]:
    return {
        "valid": not report.errors,
        "path": str(report.path) if report.path is not None else None,
        "profile": report.profile,
        "errors": [_entry(remark) for remark in report.errors],
        "warnings": [_entry(remark) for remark in report.warnings],
    }


def _entry(remark: Remark) -> dict[str, Any]:
    about = {name: remark.details.get(name) for name in ("key", "line", "column", "file", "variable")}
    return {**about, "message": remark.text, "hint": remark.hint}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
