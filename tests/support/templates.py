"""SmolLM2 with a chat template that has tools and thinking, in a copy of its GGUF file or of its safetensors.

135 million parameters neither call tools nor think when told to; they go on with a pattern that they see. So the
template shows three examples before the conversation begins: calls where there are tools and the first message is about
the weather, thoughts where there are none. What is tested is the engine: template, grammar, parser; and with any other
first message that a call comes because it is demanded, not because there was one before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TEMPLATE = """\
{%- if tools and "weather" in (messages[0].content or "") %}{% for city in ["Rome", "Oslo", "Cairo"] %}<|im_start|>user
What is the weather in {{ city }}?<|im_end|>
<|im_start|>assistant
<tool_call>
{"name": "{{ tools[0].function.name }}", "arguments": {"city": "{{ city }}"}}
</tool_call><|im_end|>
{% endfor %}{% elif tools %}<|im_start|>system
There are tools:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% else %}{% for sum in ["2 + 3", "4 + 4", "1 + 6"] %}<|im_start|>user
What is {{ sum }}?<|im_end|>
<|im_start|>assistant
<think>
I add the numbers {{ sum }}.
</think>
The sum of {{ sum }}.<|im_end|>
{% endfor %}{% endif %}
{%- for message in messages %}
{%- if message.role == "assistant" %}<|im_start|>assistant
{% if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>
{% endif %}{{ message.content or "" }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% elif message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

WEATHER = {
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


SEARCH = {
    "name": "search",
    "description": "Searches the web",
    "parameters": {
        "type": "object",
        "properties": {"words": {"type": "string", "pattern": "^[^,]{1,20}$"}, "pages": {"$ref": "#/$defs/count"}},
        "required": ["words", "pages"],
        "$defs": {"count": {"type": "integer", "minimum": 1, "maximum": 9}},
    },
}


def with_template(model: Path, directory: Path, template: str | None = TEMPLATE) -> Path:
    """A copy of a GGUF file that has this chat template, or none."""
    copy = directory / f"{model.stem}.template.gguf"
    key = "tokenizer.chat_template"
    change = ["--remove-metadata", key] if template is None else ["--chat-template", template]
    tool = [sys.executable, "-m", "gguf.scripts.gguf_new_metadata", "--force", *change]
    subprocess.run([*tool, str(model), str(copy)], check=True, capture_output=True)
    return copy


def checkpoint_with_template(model: Path, directory: Path) -> Path:
    """The weights in a copy of a checkpoint's directory whose chat template is `TEMPLATE`."""
    copy = directory / "checkpoint"
    shutil.copytree(model, copy, copy_function=os.link)
    template = copy / "chat_template.jinja"
    template.unlink(missing_ok=True)
    template.write_text(TEMPLATE)
    return copy / "model.safetensors"
