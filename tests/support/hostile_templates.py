"""Chat templates that never end, take all memory or end their interpreter; and sound ones."""

from __future__ import annotations

from random import Random

SOUND = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "{%- for m in messages %}{%- if m.role == 'system' %}[S]{{ m.content | trim }}{%- else %}[{{ m.role | upper }}]"
    "{{ m.content }}{{ eos_token }}{%- endif %}{%- endfor %}",
    "{% set ns = namespace(n=0) %}"
    "{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}: {{ m.content }}\n{% endfor %}",
    "{% macro say(m) %}{{ m.role }}: {{ m.content | replace('\n', ' ') }}{% endmacro %}"
    "{% for m in messages %}{{ say(m) }}{% endfor %}",
)

ENDLESS = {
    "a loop": "{% for i in range(1000000000) %}{% endfor %}",
    "loops in loops": "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
    "a product": "{{ 'x' * 10000000000 }}",
    "a sorted list": "{{ range(200000000) | list | sort }}",
    "growth by ~": "{% set n = namespace(s='aaaa') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "growth by +": "{% set n = namespace(s='aaaa') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "growth by replace": "{% set n = namespace(s='aaaa') %}"
    "{% for i in range(60) %}{% set n.s = n.s | replace('a', 'aaaaaaaa') %}{% endfor %}",
    "growth by join": "{% set n = namespace(s='aaaa') %}"
    "{% for i in range(60) %}{% set n.s = [n.s, n.s, n.s] | join %}{% endfor %}",
    "growth of a list": "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = n.l + n.l %}{% endfor %}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
}
"""What llama.cpp's interpreter neither ends nor bears."""

DEEP = {
    "a macro that calls itself": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
}
"""What overruns the interpreter's stack."""


def hostile(random: Random) -> str:
    """An endless template, somewhere in a sound one."""
    return _within(random, random.choice(list(ENDLESS.values())))


def odd(random: Random) -> str:
    """A template that may be wrong in any way but ends: pieces of sound ones, cut, doubled and mixed."""
    pieces = [piece + "%}" for template in SOUND for piece in template.split("%}")]
    text = "".join(random.choices(pieces, k=random.randrange(1, 9)))
    start = random.randrange(len(text))
    return text[:start] + random.choice(["", "{{", "}}", "{%", "\0", "\U0001f600", "{{ x.y.z() }}"]) + text[start:]


def _within(random: Random, piece: str) -> str:
    sound = random.choice(SOUND)
    each = "for m in messages %}"
    # Before all of it, after it, or in each message: wherever the trial's conversation comes by.
    return random.choice([piece + sound, sound + piece, sound.replace(each, each + piece)])
