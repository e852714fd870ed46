"""Pieces of scripts that make workflows."""

from __future__ import annotations

ADD = "{name = 'add', type = 'tool', tool = 'calculator', input = {input = '2 + 3'}}"
FAILS = "{name = 'bad', type = 'tool', tool = 'calculator', input = {input = '1 / 0'}}"
AGENT = "local ada = Agent.builder():name('ada'):type('basic'):build() "


def custom(name: str, body: str, more: str = "") -> str:
    """A step that is a function of `ctx`."""
    return f"{{name = '{name}', type = 'custom', execute = function(ctx) {body} end{more}}}"


def sequential(*steps: str, more: str = "") -> str:
    return f"Workflow.sequential{{name = 'w', steps = {{{', '.join(steps)}}}{more}}}"
