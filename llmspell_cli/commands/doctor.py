"""`llmspell doctor`: looks at this machine, says what works and what to do about the rest, and can put files right."""

from __future__ import annotations

from collections.abc import Sequence

import click

from llmspell_cli.doctor.checks import examined, fixed_again, subject_of
from llmspell_cli.doctor.finding import Fix
from llmspell_cli.doctor.report import document, show
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_protocol.errors import InvalidRequest, LlmspellError


@click.command(
    "doctor",
    cls=Command,
    examples=(
        ("llmspell doctor", "look at everything"),
        ("llmspell doctor --offline --json", "no network, for programs"),
        ("llmspell doctor --fix", "put files right, asks first"),
    ),
)
@click.option(
    "--fix",
    is_flag=True,
    help="Create missing directories, repair modes, remove stale kernel files, move damaged models and databases away.",
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask before --fix.")
@click.option("--offline", is_flag=True, help="Ask nothing on the network.")
@format_option("text", "json", "pretty")
def doctor(options: Options, fix: bool, yes: bool, offline: bool) -> int:
    """Look at this machine: engines, devices, backends, disk, memory, configuration, kernels, files, databases,
    keys.

    --connect picks the kernel of the check `kernel`; everything else is about this machine. Ends with 1 if something
    is broken.
    """
    output = Output(options)
    if fix and output.json and not yes:
        raise InvalidRequest("this command asks a question, which JSON mode can't", hint="use --yes")
    subject = subject_of(options, offline=offline)
    findings = examined(subject)
    if not output.json:
        show(output, findings)
    fixed: list[str] = []
    if fix:
        fixes = [fix for finding in findings.values() for fix in finding.fixes]
        fixed = _put_right(output, fixes, yes=yes)
        findings |= fixed_again(subject)
    if output.json:
        output.document({**document(findings), **({"fixed": fixed} if fix else {})})
    return 1 if any(finding.status == "fail" for finding in findings.values()) else 0


def _put_right(output: Output, fixes: Sequence[Fix], *, yes: bool) -> list[str]:
    """Does what the findings offer, after asking; returns what was done."""
    if not fixes:
        if not output.json:
            output.line("Nothing to fix")
        return []
    if not output.json:
        output.line()
        for fix in fixes:
            output.line(f"  - {fix.action}")
    if not confirmed(output, "Do this?", yes=yes):
        return []
    done: list[str] = []
    for fix in fixes:
        try:
            fix.apply()
        except OSError as error:
            raise LlmspellError(f"can't {fix.action}: {error.strerror}", details={"done": done}) from None
        done.append(fix.action)
        if not output.json:
            output.line(f"✓ {fix.action}")
    return done
