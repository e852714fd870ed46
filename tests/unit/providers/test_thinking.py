"""Whether a model of our own can be told to think, or not to, by what its templates say."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from llmspell_protocol.errors import Unsupported
from llmspell_providers.library.thinking import demand_thinking

PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"
ALWAYS = "{{ messages[0].content }}<think>\n"
SWITCH = "{% if enable_thinking is false %}<think>\n\n</think>{% endif %}"


@pytest.mark.parametrize(
    ("template", "wanted", "why"),
    [
        (SWITCH, True, None),
        (SWITCH, False, None),
        ("{% if thinking %}…{% endif %}", True, None),
        (ALWAYS, True, None),
        (ALWAYS, False, "m can't do 'think': it always thinks"),
        (PLAIN, False, None),
        (PLAIN, True, "m can't do 'think': its chat template knows no thinking"),
    ],
)
def test_a_wish_that_the_template_would_ignore_is_refused(template: str, wanted: bool, why: str | None) -> None:
    with nullcontext() if why is None else pytest.raises(Unsupported, match=why):
        demand_thinking("m", wanted, {"chat_template": template})
