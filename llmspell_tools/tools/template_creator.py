"""template-creator: templates of Tera, Jinja and Handlebars, filled with values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from llmspell_protocol.errors import Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, parameter

_ENGINES = {"jinja": "tera", "jinja2": "tera", "hbs": "handlebars"}
_HANDLEBARS = re.compile(r"\{\{\{|\{\{~?\s*(?:[#/>^!@&]|else\b|this\b|\.\./)")
"""What no Tera template has."""


class Parameters(ToolParameters):
    """What `template-creator` is called with; it does one thing, whatever `operation` says."""

    input: str = parameter("the template", also=("template",))
    context: dict[str, Any] = parameter("the values by name", {}, also=("variables", "data", "values"))
    engine: Literal["tera", "handlebars"] | None = parameter(
        "the template's language; tera also reads Jinja's. Not given: handlebars if it has {{#…}}, {{this}} or "
        "{{{x}}}, else tera",
        None,
    )
    auto_detect: bool = parameter("whether the language is told by the template where `engine` isn't given", True)
    auto_escape: bool = parameter(
        "whether values are written as HTML: & as &amp;; {{ x | safe }} and {{{x}}} never are", True
    )

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Jinja is tera, hbs handlebars; an empty list of values is none (Lua's empty table)."""
        wanted = dict(given)
        if isinstance(wanted.get("engine"), str):
            said = wanted["engine"].lower()
            wanted["engine"] = _ENGINES.get(said, said)
        if wanted.get("context") == []:
            wanted["context"] = {}
        return wanted


def run(wanted: Parameters, call: Call) -> Outcome:
    """Fills the template."""
    del call
    engine = wanted.engine or _told(wanted)
    rendered = _rendered(engine, wanted)
    result = {
        "rendered": rendered,
        "output": rendered,
        "engine": engine,
        "template_length": len(wanted.input),
        "context_size": len(json.dumps(wanted.context, ensure_ascii=False)),
    }
    message = f"{len(rendered):,} characters, by {engine}"
    return Outcome(operation="render", result=result, output=rendered, text=rendered, message=message)


def _told(wanted: Parameters) -> Literal["tera", "handlebars"]:
    return "handlebars" if wanted.auto_detect and _HANDLEBARS.search(wanted.input) else "tera"


def _rendered(engine: str, wanted: Parameters) -> str:
    from llmspell_tools.templates import handlebars, tera
    from llmspell_tools.templates.budget import NotSupported, TemplateProblem

    render = handlebars.render if engine == "handlebars" else tera.render
    values: Mapping[str, Any] = wanted.context
    try:
        return render(wanted.input, values, escape=wanted.auto_escape)
    except NotSupported as error:
        raise Unsupported(f"the {engine} template: {error}") from None
    except TemplateProblem as error:
        raise ToolFailure(f"the {engine} template: {error}") from None


TOOL = Tool(
    name="template-creator",
    description=(
        "Fills a template of Tera, Jinja or Handlebars with values. Templates run in a sandbox, and each ends: "
        "half a million rounds of loops, ten million characters."
    ),
    category="utility",
    level="restricted",
    parameters=Parameters,
    run=run,
    result="{rendered, engine, template_length, context_size}",
    keywords=("template", "render", "jinja", "tera", "handlebars"),
    example={"input": "Hello {{ name }}!", "context": {"name": "world"}},
)
