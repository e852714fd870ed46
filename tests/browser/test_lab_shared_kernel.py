"""Notebooks in JupyterLab and commands in a terminal share one kernel and its models; variables are each one's own."""

from __future__ import annotations

import json

from tests.browser.conftest import Open
from tests.browser.lab import LabServer

ASK = """
reply = LocalLLM.chat { model = "local/smollm2@candle", messages = { { role = "user", content = "Say hello." } },
                        temperature = 0, max_tokens = 8 }
mine = "%s"
print("answered")
"""


def test_two_notebooks_and_a_command_share_a_model_and_no_variables(open_notebook: Open, server: LabServer) -> None:
    first, second = open_notebook(ASK % "first", "tostring(mine)"), open_notebook("tostring(mine)", ASK % "second")
    first.run(0)
    first.wait_for_text(0, "answered")
    second.run(0)
    second.wait_for_text(0, "nil")
    second.run(1)
    second.wait_for_text(1, "answered")
    first.run(1)
    first.wait_for_text(1, "first")
    loaded = json.loads(server.command("--json", "model", "ps"))["models"]
    assert [model["model"] for model in loaded] == ["smollm2"]
    asked = f"{ASK % 'mine'} return mine"
    answered = json.loads(server.command("--json", "exec", asked))
    assert (answered["mode"], answered["result"]) == ("connected", "mine")
    server.command("chat", "-m", "local/smollm2@candle", "-o", "max_tokens", "8", "Say hello.")
    assert json.loads(server.command("--json", "model", "ps"))["models"][0]["pid"] == loaded[0]["pid"]


def test_restarting_one_notebook_leaves_the_other_alone(open_notebook: Open) -> None:
    one, other = open_notebook("kept = 1", "tostring(kept)"), open_notebook("kept = 2", "tostring(kept)")
    for notebook in (one, other):
        notebook.run(0)
        notebook.wait_ran(0)
    one.command("notebook:restart-kernel")
    one.page.locator(".jp-Dialog button.jp-mod-warn").click()
    one.wait_idle()
    one.run(1)
    one.wait_for_text(1, "nil")
    other.run(1)
    other.wait_for_text(1, "2")
