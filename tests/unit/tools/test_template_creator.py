"""template-creator: both languages, every form and error, and templates that try to break out or never to end."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_tools.contract import ToolFailure
from llmspell_tools.templates import handlebars, tera
from llmspell_tools.templates.budget import TemplateProblem
from tests.support.hostile_templates import DEEP, ENDLESS
from tests.support.tool_calls import call_tool

NAME = "template-creator"
VALUES: dict[str, Any] = {
    "title": "T",
    "html": "<b>",
    "items": [{"n": "x", "v": 2}, {"n": "y", "v": 1}],
    "list": [1, "a", True, None, 2.5],
    "object": {"k": "v", "items": 3},
    "yes": True,
    "none": None,
    "number": 7.456,
    "date": "2024-01-15T10:30:00Z",
    "long": "x" * 100_000,
    "many": list(range(3_000)),
}


@pytest.mark.parametrize(
    ("arguments", "engine"),
    [
        ({"input": "Hello {{name}}", "context": {"name": "World"}}, "tera"),
        ({"template": "Hello {{name}}", "variables": {"name": "World"}}, "tera"),
        ({"template": "Hello {{name}}", "data": {"name": "World"}, "operation": "render"}, "tera"),
        ({"template": "Hello {{name}}", "context": {"name": "World"}, "engine": "jinja"}, "tera"),
        ({"template": "Hello {{name}}", "context": {"name": "World"}, "engine": "Tera"}, "tera"),
        ({"template": "Hello {{name}}", "context": {"name": "World"}, "engine": "handlebars"}, "handlebars"),
        ({"template": "Hello {{name}}", "context": {"name": "World"}, "engine": "hbs"}, "handlebars"),
        ({"template": "Hello {{{name}}}", "context": {"name": "World"}}, "handlebars"),
        ({"template": "Hello {{#if name}}{{name}}{{/if}}", "context": {"name": "World"}}, "handlebars"),
        ({"template": "Hello {{#each l}}{{this}}{{/each}}", "context": {"l": ["World"]}}, "handlebars"),
        ({"template": "Hello {% if name %}{{name}}{% endif %}", "context": {"name": "World"}}, "tera"),
        ({"parameters": {"template": "Hello {{name}}", "context": {"name": "World"}}}, "tera"),
    ],
)
def test_the_language_is_named_or_told_by_the_template(arguments: dict[str, Any], engine: str) -> None:
    called = call_tool(NAME, arguments)
    assert called.output == called.result["rendered"] == called.result["output"] == "Hello World"
    assert called.result["engine"] == engine
    assert called.result["template_length"] >= 14
    assert called.result["context_size"] > 0


def test_it_does_not_tell_where_it_is_asked_not_to() -> None:
    called = call_tool(NAME, {"input": "{{#x", "auto_detect": False})
    assert "the tera template: line 1" in called.said


@pytest.mark.parametrize("engine", ["tera", "handlebars"])
def test_values_are_escaped_unless_that_is_not_wanted(engine: str) -> None:
    given_html = {"input": "{{ html }}", "context": {"html": "<b>"}, "engine": engine}
    assert call_tool(NAME, given_html).output == "&lt;b&gt;"
    assert call_tool(NAME, {**given_html, "auto_escape": False}).output == "<b>"


def test_a_template_may_have_no_values() -> None:
    assert call_tool(NAME, {"input": "plain", "context": []}).output == "plain"
    assert call_tool(NAME, {"input": "", "context": {}}).output == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, r"Missing required parameter 'input' \(or 'template'\)"),
        ({"input": "x", "engine": "erb"}, "Unknown engine: erb"),
        ({"input": "x", "context": "x"}, "Parameter 'context'"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        call_tool(NAME, arguments)


# Tera, and Jinja


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ items[0].n }}{{ items.1.n }}{{ object['k'] }}", "xyv"),
        ("{{ object.items }}", "3"),
        ("{{ html }}{{ html | safe }}", "&lt;b&gt;<b>"),
        ("{{ list }} {{ object }} {{ yes }} {{ none }} {{ 2.0 }}", "[1, a, true, , 2.5] [object] true  2.0"),
        ("{% if title == 'T' and not missing %}a{% elif yes %}b{% else %}c{% endif %}", "a"),
        ("{% if missing.a.b %}a{% else %}b{% endif %}", "b"),
        ("{{ 'a' if missing else 'b' }}", "b"),
        ("{{ missing is undefined }} {{ title is defined }}", "true true"),
        ("{{ missing | default(value='x') }}{{ missing | default('y') }}{{ title | default(value='z') }}", "xyT"),
        ("{{ none | default('x', true) }}", "x"),
        ("{% for i in items %}{{ loop.index }}{{ i.n }}{% if not loop.last %},{% endif %}{% endfor %}", "1x,2y"),
        ("{% for i in [] %}{% else %}none{% endfor %}", "none"),
        ("{% for k, v in object %}{{ k }}={{ v }};{% endfor %}", "k=v;items=3;"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{% for k in {'a': 1} %}{{ k }}{% endfor %}", "a"),
        ("{% for i in items if i.v > 1 %}{{ i.n }}{% endfor %}", "x"),
        ("{% for i in range(end=3) %}{{ i }}{% endfor %}{% for i in range(1, 3) %}{{ i }}{% endfor %}", "01212"),
        ("{% for i in range(start=1, end=6, step_by=2) %}{{ loop.cycle('a', 'b') }}{{ i }}{% endfor %}", "a1b3a5"),
        ("{% set x = 3 %}{{ x * 2 }}{{ title ~ '-' ~ x }}", "6T-3"),
        ("{% set x %}a{{ title }}{% endset %}{{ x }}", "aT"),
        ("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m('<') }}", "<&lt;>"),
        ("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{% endcall %}", "[x]"),
        ("{% filter upper %}abc{% endfilter %}{# no #}{% raw %}{{ x }}{% endraw %}", "ABC{{ x }}"),
        ("a{%- if yes -%} b {%- endif %}", "ab"),
        ("{{ title.lower() }}{{ 'a b'.split() | join('-') }}", "ta-b"),
        ("{{ 'hello' | replace(from='l', to='L') }}{{ 'hello' | replace('l', '') }}", "heLLoheo"),
        ("{{ 'a,b' | split(pat=',') | join(sep='+') }}", "a+b"),
        ("{{ items | map(attribute='n') | join(sep=',') }}", "x,y"),
        ("{{ items | sort(attribute='v') | map(attribute='n') | join }}", "yx"),
        ("{{ items | filter(attribute='v', value=1) | length }}", "1"),
        ("{{ items | group_by(attribute='n') | length }}", "2"),
        ("{{ [1, 1, 2] | unique }}{{ [1, 2] | reverse }}{{ [1, 2] | concat(with=3) }}", "[1, 2][2, 1][1, 2, 3]"),
        ("{{ list | first }}{{ list | last }}{{ list | nth(n=1) }}{{ list | slice(start=1, end=2) }}", "12.5a[a]"),
        ("{{ object | get(key='k') }}{{ object | get(key='x', default='d') }}", "vd"),
        ("{{ number | round(precision=1) }} {{ number | round }} {{ number | round(method='ceil') }}", "7.5 7 8"),
        ("{{ date | date(format='%d.%m.%Y') }} {{ date | date }}", "15.01.2024 2024-01-15"),
        ("{{ date | date(format='%H:%M', timezone='Asia/Tokyo') }}", "19:30"),
        ("{{ 'Hello Wörld!' | slugify }} {{ 'hello' | truncate(length=2) }}", "hello-world he…"),
        ("{{ list | json_encode | safe }} {{ {'a': '<'} | tojson }}", '[1, "a", true, null, 2.5] {"a": "\\u003c"}'),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ ' a ' | trim }}{{ 'abc' | upper | lower | capitalize }}{{ 'a b' | title }}", "aAbcA B"),
        ("{{ 1 | pluralize }}{{ 2 | pluralize }}", "s"),
        (
            "{{ title is starting_with('T') }}{{ 'abc' is ending_with('c') }}{{ 'abc' is matching('b.') }}",
            "truetruetrue",
        ),
        ("{{ list is containing('a') }}{{ object is object }}{{ 3 is odd }}{{ 'a' is string }}", "truetruetruetrue"),
        ("{{ [html | safe, '<'] | join(',') }}", "<b>,&lt;"),
        ("{{ items | join(', ', 'n') }}", "x, y"),
        ("{% for i in items %}{{ loop.revindex }}/{{ loop.length }} {% endfor %}", "2/2 1/2 "),
        ("{{ title }}\n", "T\n"),
    ],
)
def test_tera_s_and_jinja_s_ways_work(template: str, expected: str) -> None:
    assert call_tool(NAME, {"input": template, "context": VALUES, "engine": "tera"}).output == expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("a\n{{ title.x }}", "no attribute 'x'"),
        ("{{ missing + 1 }}", "'missing' is undefined"),
        ("{% for x in missing %}{% endfor %}", "'missing' is undefined"),
        ("{{ missing() }}", "'missing' is undefined"),
        ("{% for x in 3 %}{% endfor %}", "not over a number"),
        ("{% for x in 'abc' %}{% endfor %}", "not over a text"),
        ("a\n{{ x", "line 2"),
        ("{% if %}{% endif %}", "line 1"),
        ("{% set_global x = 1 %}", "unknown tag 'set_global'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' | round }}", "round needs a number"),
        ("{{ 'x' | date }}", "date: Could not parse"),
        ("{{ 3 | join }}", "a list is needed"),
        ("{{ throw(message='stop here') }}", "stop here"),
        ("{{ object | get(key='x') }}", "no key 'x'"),
    ],
)
def test_what_tera_can_t_render_is_told(template: str, why: str) -> None:
    assert why in call_tool(NAME, {"input": template, "context": VALUES, "engine": "tera"}).said


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ x | no_such }}", "No filter named 'no_such'"),
        ("{{ x is no_such }}", "No test named 'no_such'"),
        ("{% include 'x' %}", r"{% include %} is not there"),
        ("{% extends 'x' %}", r"{% extends %} is not there"),
        ("{% import 'x' as x %}", r"{% import %} is not there"),
        ("{% from 'x' import y %}", r"{% from … import %} is not there"),
        ("{% block x %}{% endblock %}", r"{% block %} is not there"),
    ],
)
def test_what_tera_does_not_have_is_unsupported(template: str, why: str) -> None:
    with pytest.raises(Unsupported, match=re.escape(why)):
        call_tool(NAME, {"input": template, "engine": "tera"})


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ range.__globals__ }}",
    "{{ now.__globals__ }}",
    "{{ throw.__code__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ '' | attr('__class__') }}",
    "{{ ['x'] | map('attr', '__class__') | list }}",
    "{{ list | map(attribute='__class__') | list }}",
    "{{ list | groupby('__class__') }}",
    "{{ list | sum(attribute='__class__') }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{0.__class__}' | format(1) }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ '%s' % 1 }}",
    "{{ (1).__class__ }}",
    "{{ list.append(1) }}",
    "{{ object.update({'a': 1}) }}",
    "{{ object.pop('k') }}",
    "{{ object.__class__ }}",
    "{% for x in list %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in list %}{{ loop._iterator }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func }}",
    "{% macro m() %}{{ caller.__class__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{{ title.upper.__self__ }}",
    "{{ title.upper }}",
    "{{ title.encode() }}",
    "{{ config }}",
    "{{ request }}",
    "{{ get_flashed_messages }}",
    "{{ get_env(name='HOME') }}",
    "{{ dict(a=1) }}",
    "{{ x.__init__ }}",
    "{{ html.__html__() }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_a_tera_template_reaches_nothing_but_its_values(template: str) -> None:
    values = {**VALUES, "object": {"k": "v"}, "list": [1, "a"]}
    with pytest.raises(TemplateProblem):
        tera.render(template, values, escape=True)
    assert values["list"] == [1, "a"]
    assert values["object"] == {"k": "v"}


GROWING = {
    "a loop of a thousand million": "{% for i in range(10**9) %}{% endfor %}",
    "a loop by tera's names": "{% for i in range(end=1000000000) %}{% endfor %}",
    "a power": "{{ 10 ** 10000000 }}",
    "a power of a power": "{{ (9 ** 999) ** 999 }}",
    "products": "{% set x = 2 %}" + "{% set x = x * x %}" * 40 + "{{ x }}",
    "a list of lists": "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
    "a list of lists as JSON": "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x | json_encode }}",
    "a list of lists for a script": "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x | tojson }}",
    "blocks of text": "{% set x = long %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
    "joins": "{% set x = long %}" + "{% set x = [x, x] | join %}" * 40,
    "concatenation": "{% set x = long %}" + "{% set x = x ~ x %}" * 40,
    "sums": "{% set x = long %}" + "{% set x = x + x %}" * 40,
    "sums of lists": "{% set x = [1] %}" + "{% set x = x + x %}" * 60,
    "replacements": "{% set x = 'a' %}" + "{% set x = x | replace('a', 'aaaaaaaaaa') %}" * 40,
    "a wide number": "{{ '%1000000000d' % 1 }}",
    "a wide format": "{{ '{:>1000000000}'.format(1) }}",
    "a wide centre": "{{ 'x' | center(1000000000) }}",
    "a wide indent": "{{ 'x' | indent(1000000000) }}",
    "a long text again and again": "{% for i in range(90000) %}{{ long }}{% endfor %}",
    "literal text again and again": "{% for i in range(90000) %}" + "text" * 500 + "{% endfor %}",
    "the same unseen": "{% set x %}{% for i in range(90000) %}" + "text" * 500 + "{% endfor %}{% endset %}",
    "macros that call each other": "{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}"
    "{% macro b() %}{{ a() }}{% endmacro %}"
    "{{ a() }}",
    "a macro that calls itself silently": "{% macro f(n) %}{% set _ = f(n) %}{% endmacro %}{{ f(0) }}",
    "parentheses": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "a chain": "{{ title" + ".x" * 5_000 + " }}",
    "filters": "{{ title" + " | upper" * 5_000 + " }}",
    "a sum of many": "{{ 1" + " + 1" * 5_000 + " }}",
    "loops in loops in loops": "{% for i in list %}" * 30 + "{% endfor %}" * 30,
    "conditions in conditions": "{% if yes %}" * 3_000 + "{% endif %}" * 3_000,
    "a huge template": "x" * 1_000_001,
    **{name: text for name, text in ENDLESS.items() if "namespace" not in text},
    **DEEP,
}


@pytest.mark.parametrize("name", GROWING)
def test_a_tera_template_ends(name: str) -> None:
    with pytest.raises(
        TemplateProblem, match=r"too (much|large|deep)|more than|not there|No filter|no attribute|needed"
    ):
        tera.render(GROWING[name], VALUES, escape=True)


@given(st.text(alphabet="{}%#|.()[]'~-_ \nabifor12", max_size=60))
@example("{{ x }}{% if a %}{% endif %}")
@example("{%- for a in b -%}{{ a|b }}{%- endfor -%}")
@example("{{ 1 if }}")
def test_a_tera_template_of_any_kind_is_rendered_or_refused(template: str) -> None:
    with suppress(TemplateProblem):
        assert isinstance(tera.render(template, {"a": 1, "b": [1, 2]}, escape=True), str)


# Handlebars


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{html}}{{{html}}}{{&html}}", "&lt;b&gt;<b><b>"),
        ("{{#each items}}{{@index}}{{n}}{{#unless @last}},{{/unless}}{{/each}}", "0x,1y"),
        ("{{#each items}}{{#if v}}{{../title}}{{/if}}{{/each}}", "TT"),
        ("{{#each object}}{{@key}}={{this}};{{/each}}", "k=v;items=3;"),
        ("{{#each none}}a{{else}}b{{/each}}{{#each missing}}a{{else}}c{{/each}}", "bc"),
        ("{{#if yes}}a{{else}}b{{/if}}{{#if none}}a{{else}}b{{/if}}{{#if missing}}a{{else}}b{{/if}}", "abb"),
        ("{{#if none}}a{{else if yes}}b{{else}}c{{/if}}", "b"),
        ("{{#unless none}}a{{else}}b{{/unless}}", "a"),
        ("{{#with object}}{{k}}{{../title}}{{/with}}", "vT"),
        ("{{#each list}}{{this}};{{/each}}", "1;a;true;;2.5;"),
        ("{{object.k}} {{items.[0].n}} {{this.title}} {{@root.title}}", "v x T T"),
        ("{{list}} {{object}} {{yes}} {{none}}", "1,a,true,,2.5 [object Object] true "),
        ("{{! no }}{{!-- {{no}} --}}a", "a"),
        ("{{#each items as |it i|}}{{i}}{{it.n}}{{/each}}", "0x1y"),
        ("{{#items}}{{n}}{{/items}}{{^none}}no{{/none}}", "xyno"),
        ("a\n{{#if yes}}\nb\n{{/if}}\nc", "a\nb\nc"),
        ("a {{~#if yes}} b {{~/if~}} c", "a bc"),
        ("{{uppercase title}}{{lowercase title}}{{len list}}{{lookup object 'k'}}", "Tt5v"),
        ("{{#if (eq title 'T')}}a{{/if}}{{#if (and yes (not none))}}b{{/if}}{{#if (or none yes)}}c{{/if}}", "abc"),
        ("{{#gt 2 1}}a{{/gt}}{{#lte 2 1}}a{{else}}b{{/lte}}{{#if (lt 'a' 1)}}a{{else}}c{{/if}}{{ne 1 1}}", "abcfalse"),
        ("\\{{title}}", "{{title}}"),
    ],
)
def test_handlebars_works(template: str, expected: str) -> None:
    assert call_tool(NAME, {"input": template, "context": VALUES, "engine": "handlebars"}).output == expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{missing}}", "no value for 'missing'"),
        ("{{object.x.y}}", "no value for 'object.x.y'"),
        ("{{#each items}}", "unclosed block"),
        ("{{/if}}", "unexpected closing tag if"),
        ("{{", "unclosed tag"),
        ("{{{x}}", "unclosed tag"),
        ("{{/}}", "a tag has no name"),
        ("{{#if}}{{/if}}", "exactly one argument"),
        ("{{#eq title}}{{/eq}}", "takes two values"),
    ],
)
def test_what_handlebars_can_t_render_is_told(template: str, why: str) -> None:
    assert why in call_tool(NAME, {"input": template, "context": VALUES, "engine": "handlebars"}).said


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{no_such title}}", "no helper 'no_such'"),
        ("{{#no_such title}}{{/no_such}}", "no helper 'no_such'"),
        ("{{#if (no_such 1)}}{{/if}}", "no helper 'no_such'"),
        ("{{log 'x'}}", "no helper 'log'"),
        ("{{> part}}", "partials"),
        ("{{#> part}}{{/part}}", "partials"),
        ("{{~#*inline 'a'}}{{> a}}{{/inline}}", "partials"),
        ("{{* decorator}}", "decorators"),
    ],
)
def test_what_handlebars_does_not_have_is_unsupported(template: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        call_tool(NAME, {"input": template, "context": VALUES, "engine": "handlebars"})


@pytest.mark.parametrize(
    "template",
    [
        "{{__class__}}",
        "{{title.__class__}}",
        "{{title.upper}}",
        "{{list.__class__.__mro__}}",
        "{{constructor.constructor}}",
        "{{object.__proto__}}",
        "{{object.[__class__]}}",
        "{{lookup title '__class__'}}{{missing}}",
        "{{#with title}}{{__class__}}{{/with}}",
        "{{#each title}}{{this}}{{else}}{{missing}}{{/each}}",
        "{{@root.__class__}}",
        "{{long._budget}}",
        "{{list._cost}}",
    ],
)
def test_a_handlebars_template_reaches_nothing_but_its_values(template: str) -> None:
    with pytest.raises(TemplateProblem, match="no value for"):
        handlebars.render(template, VALUES, escape=True)


def test_a_helper_looks_up_no_attribute() -> None:
    assert handlebars.render("{{lookup title '__class__'}}{{lookup list 'append'}}", VALUES, escape=True) == ""


@pytest.mark.parametrize(
    "template",
    [
        "{{#each many}}{{#each ../many}}{{#each ../../many}}{{/each}}{{/each}}{{/each}}",
        "{{#many}}{{#../many}}{{/../many}}{{/many}}",
        "{{#each many}}{{../long}}{{/each}}",
        "{{#each many}}{{../many}}{{/each}}",
        "{{#each many}}" + "text" * 5_000 + "{{/each}}",
        "{{long}}" * 200,
        "{{#if yes}}" * 5_000 + "{{/if}}" * 5_000,
        "{{len " + "(len " * 3_000 + "title" + ")" * 3_000 + "}}",
        "x" * 1_000_001,
    ],
)
def test_a_handlebars_template_ends(template: str) -> None:
    with pytest.raises(TemplateProblem, match=r"too (much|deep)|depth exceeded|more than|not valid"):
        handlebars.render(template, VALUES, escape=True)


@given(st.text(alphabet="{}#/^!@&~.[]()'\"=| \nabifthis12", max_size=60))
@example("{{#*inline}}")
@example("{{#a}}{{^}}{{/a}}")
@example("{{else}}")
@example("{{#if a as |b|}}{{b}}{{/if}}")
@example("{{a b=}}")
@example("{{()}}")
@example("{{@../a}}")
@example("{{#}}")
def test_a_handlebars_template_of_any_kind_is_rendered_or_refused(template: str) -> None:
    with suppress(TemplateProblem):
        assert isinstance(handlebars.render(template, {"a": 1, "b": [1, 2]}, escape=True), str)


def test_a_problem_is_the_operation_s_own_no() -> None:
    called = call_tool(NAME, {"input": "{{ missing }}"})
    assert isinstance(called.failure, ToolFailure)
    assert called.said == "the tera template: 'missing' is undefined"
