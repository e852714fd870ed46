"""What the commands about workflows ask for: one `workflow_request`, with the directory and permissions of the command,
and how the end of an execution is shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click

from llmspell_cli.endings import end_in_order
from llmspell_cli.invocation import working_directory
from llmspell_cli.options import Decorator
from llmspell_cli.permissions import environment
from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.output import Output
from llmspell_cli.workflows.view import WorkflowView
from llmspell_protocol.errors import Cancelled, Timeout, Unavailable, WorkflowFailed
from llmspell_protocol.request_options import RequestOptions

NO_PERMISSIONS: Mapping[str, Sequence[str]] = MappingProxyType({})

watch_option: Decorator = click.option(
    "--watch", is_flag=True, help="Its steps as they go on: a tree at a terminal, else lines; JSON mode: events."
)


def ask_workflows(opened: Session, action: str, **fields: Any) -> Content:
    """The reply's content. Raises what the kernel answers."""
    return document(opened.ask("workflow_request", {"action": action, **fields}))


def executed(
    opened: Session,
    output: Output,
    view: WorkflowView,
    action: str,
    *,
    allow: Mapping[str, Sequence[str]],
    timeout_s: float | None,
    resumable: bool,
    **fields: Any,
) -> Content:
    """The reply of an execution, whose steps `view` shows; `resumable`: one that is interrupted can go on.

    A person at the terminal is asked where a permission is lacking.

    Raises what the kernel answers, and `Interrupted`. One that was cut says by which command it goes on.
    """
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not output.json
    options = RequestOptions(
        cwd=working_directory(), env=environment(allow), allow=dict(allow) or None, interactive=asks
    )
    if asks:
        fields["allow_stdin"] = True

    def ask(prompt: str, hidden: bool) -> str | None:
        # Few workflows lack a permission.
        from llmspell_cli.terminal.interrupts import Interrupts
        from llmspell_cli.terminal.typed_line import typed_line

        view.clear()
        with Interrupts() as interrupts:
            return typed_line(interrupts, prompt, hidden=hidden)

    if resumable:
        # Beside a connected kernel a signal would end this command without a word.
        end_in_order()
    try:
        return document(
            opened.ask(
                "workflow_request",
                {"action": action, "progress": True, **fields},
                request_options=options,
                timeout_s=timeout_s,
                on_progress=view.show,
                on_input=ask if asks else None,
            )
        )
    except (Cancelled, Timeout, Unavailable) as ended:
        if resumable and view.execution_id is not None:
            ended.hint = _goes_on(view.execution_id)
        raise
    except SystemExit:
        # SIGTERM or SIGHUP; the command ends without a word otherwise.
        if resumable and view.execution_id is not None:
            view.clear()
            output.note(_goes_on(view.execution_id), execution_id=view.execution_id)
        raise


def _goes_on(execution_id: str) -> str:
    return f"llmspell workflow resume {execution_id} goes on after the last finished step"


def show_end(output: Output, reply: Content, *, watch: bool) -> None:
    """Shows what a workflow gave.

    Raises:
        WorkflowFailed: it failed.
    """
    result = reply["result"]
    if not result["success"]:
        hints = [str((result.get("error") or {}).get("hint") or "")]
        if result.get("resumable"):
            hints.append(f"{_goes_on(reply['execution_id'])}, which needs that permission")
        raise WorkflowFailed(
            result["text"].rsplit(". Duration:", 1)[0],
            hint="; ".join(hint for hint in hints if hint) or None,
            details={
                "execution_id": reply["execution_id"],
                "failed_step": result["failed_step"],
                "failed_steps": result["failed_steps"],
                "result": result,
            },
        )
    if output.json:
        if watch:
            output.last_event({"event": "result", **reply})
        else:
            output.document(reply)
        return
    given = result["output"]
    if given is None:
        return
    text = given if isinstance(given, str) else json.dumps(given, indent=2, ensure_ascii=False)
    output.as_it_is(text if text.endswith("\n") else f"{text}\n")
    for warning in result["metadata"].get("warnings") or ():
        output.warning(str(warning))
