"""Jupyter's own test of kernels (jupyter_kernel_test), every capability of it declared.

Of its tests none is skipped; those of `display` and `clear_output` are declared where these are. Its waits are made
longer: it takes a message that comes a tenth of a second after another for one that doesn't come, which a busy machine
makes of a good one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import jupyter_kernel_test
import pytest
from jupyter_kernel_test.msgspec_v5 import validate_message

from llmspell_kernel.scripting.lua.reference import sections
from tests.support.jupyter import DEADLINE_S, KERNEL_NAME, Frontend


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The kernelspec where these classes look for it."""
    frontend = Frontend(tmp_path_factory.mktemp("kernel_test"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(frontend.data_directory))
        patch.setenv("LLMSPELL_HOME", str(frontend.home))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(frontend.home / "jupyter-runtime"))
        yield
    assert not os.listdir(frontend.home / "run"), "a kernel is left"


class TestKernel(jupyter_kernel_test.KernelTests):
    """What a kernel has to do."""

    kernel_name = KERNEL_NAME
    language_name = "lua"
    file_extension = ".lua"
    code_hello_world = "print('hello, world')"
    code_stderr = "io.stderr:write('an error\\n')"
    completion_samples = (
        {"text": "Age", "matches": {"Agent"}},
        {"text": "string.rep", "matches": {"rep"}},
        {"text": "LocalLLM.chat{ mo", "matches": {"model"}},
        {"text": "nosuch.x", "matches": set()},
    )
    complete_code_samples = ("1", "print('hello')", "function f()\n  return 1\nend", "-- a comment", "x = [[\nlong]]")
    incomplete_code_samples = ("function f()", "if x then", "t = {", "print(", "x = [[long", "--[[ comment")
    invalid_code_samples = ("x = = 1", "end", "for for", "return return")
    code_page_something = "Notebook.page('a long text')"
    code_generate_error = "error('broken')"
    code_execute_result = (
        {"code": "6 * 7", "result": "42"},
        {"code": "return 'a' .. 'b'", "result": '"ab"'},
        {"code": "{1, 2}", "result": "{1, 2}"},
    )
    code_history_pattern = "6 ?*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "LocalLLM.chat"

    @classmethod
    def setUpClass(cls) -> None:
        """As theirs; the script worker runs before the first test looks at how quick it is."""
        super().setUpClass()
        cls.kc.execute_interactive("return 1", store_history=False, timeout=DEADLINE_S, output_hook=lambda _: None)

    def execute_helper(
        self,
        code: str,
        timeout: float = DEADLINE_S,
        silent: bool = False,
        store_history: bool = True,
        stop_on_error: bool = True,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """As theirs, with patience."""
        msg_id = self.kc.execute(code=code, silent=silent, store_history=store_history, stop_on_error=stop_on_error)
        reply = self.get_non_kernel_info_reply(timeout=timeout)
        assert reply is not None
        validate_message(reply, "execute_reply", msg_id)
        output: list[dict[str, Any]] = []
        states: list[str] = []
        while "idle" not in states:
            message = self.kc.get_iopub_msg(timeout=DEADLINE_S)
            validate_message(message, message["msg_type"], msg_id)
            if message["msg_type"] == "status":
                states.append(message["content"]["execution_state"])
            elif message["msg_type"] == "execute_input":
                assert message["content"]["code"] == code
            else:
                output.append(message)
        assert states == ["busy", "idle"]
        return reply, output


class TestWelcome(jupyter_kernel_test.IopubWelcomeTests):
    """The first message of a subscriber."""

    kernel_name = KERNEL_NAME
    support_iopub_welcome = True

    @classmethod
    def setUpClass(cls) -> None:
        """As theirs; the script worker runs before the test."""
        super().setUpClass()
        first = cls.km.client()
        first.start_channels(hb=False)
        first.wait_for_ready(timeout=DEADLINE_S)
        first.execute_interactive("return 1", timeout=DEADLINE_S, output_hook=lambda _: None)
        first.stop_channels()


if "display" in sections():
    TestKernel.code_display_data = (
        {"code": "display{ html = '<b>x</b>', text = 'x' }", "mime": "text/html"},
        {"code": "display{ markdown = '*x*', text = 'x' }", "mime": "text/markdown"},
    )
    TestKernel.code_clear_output = "clear_output()"
