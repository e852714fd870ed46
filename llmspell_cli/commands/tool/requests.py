"""What the commands about tools ask for: one `tool_request`, with the directory and the permissions of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click

from llmspell_cli.invocation import working_directory
from llmspell_cli.options import Decorator
from llmspell_cli.permissions import environment
from llmspell_cli.session import Content, Session, document
from llmspell_protocol.client.sync import OnInput
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.request_options import RequestOptions

NO_PERMISSIONS: Mapping[str, Sequence[str]] = MappingProxyType({})


def ask_tools(
    opened: Session,
    action: str,
    *,
    allow: Mapping[str, Sequence[str]] = NO_PERMISSIONS,
    timeout_s: float | None = None,
    on_progress: Callable[[Content], None] | None = None,
    on_input: OnInput | None = None,
    **fields: Any,
) -> Content:
    """The reply's content; fields that are None are left out. `on_input` answers questions about permissions.

    Raises what the kernel answers.
    """
    options = RequestOptions(
        cwd=working_directory(),
        env=environment(allow),
        allow=dict(allow) or None,
        interactive=on_input is not None,
    )
    if on_input is not None:
        fields["allow_stdin"] = True
    return document(
        opened.ask(
            "tool_request",
            {"action": action, **fields},
            request_options=options,
            timeout_s=timeout_s,
            on_progress=on_progress,
            on_input=on_input,
        )
    )


def _only_local(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value not in (None, "local"):
        raise InvalidRequest(f"there is no source '{value}' of tools", hint="drop --source")


source_option: Decorator = click.option("--source", hidden=True, expose_value=False, callback=_only_local)
"""The original's `--source`, which has one value."""

category_option: Decorator = click.option(
    "--category", metavar="NAME", help="Only this: filesystem, web, api, data, system, media, utility."
)
