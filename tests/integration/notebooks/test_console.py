"""jupyter_console in a terminal: a value, several lines, Tab, help, input, Ctrl-C, its end."""

from __future__ import annotations

import sys

from tests.support.command_line import AtTerminal
from tests.support.jupyter import KERNEL_NAME, Frontend


def test_a_console_works_as_with_any_kernel(frontend: Frontend) -> None:
    console = AtTerminal(
        ["--kernel", KERNEL_NAME],
        program=(sys.executable, "-m", "jupyter_console"),
        env={
            **frontend.environment,
            "JUPYTER_PATH": str(frontend.data_directory),
            # Nothing here answers where the cursor is, and nobody turns pages.
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "PAGER": "cat",
        },
        columns=160,
    )
    console.wait_for("In [1]: ")
    console.type("6 * 7\r")
    console.wait_for("42")
    # Lines that are open go on, indented; the last one ends it.
    console.wait_for("In [2]: ")
    console.type("for i = 1, 2 do\r")
    console.wait_for("...: ")
    console.type("print('line', i)\rend\r")
    console.wait_for("line\t2")
    console.wait_for("In [3]: ")
    console.type("strin\t")
    console.wait_for("string")
    console.type(".rep('ab', 2)\r")
    console.wait_for('"abab"')
    console.wait_for("In [4]: ")
    console.type("JSON.parse?\r")
    console.wait_for("JSON.parse(text) → any")
    console.wait_for("In [5]: ")
    console.type("input('name? ')\r")
    console.wait_for("\nname? ")
    console.type("Ada\r")
    console.wait_for('"Ada"')
    console.wait_for("In [6]: ")
    console.type("print('running') while true do end\r")
    console.wait_for("\nrunning")
    console.type("\x03")
    console.wait_for("interrupted by the user")
    console.wait_for("In [7]: ")
    console.type("_\r")
    console.wait_for('"Ada"')
    console.wait_for("In [8]: ")
    # A console ignores updates of displays: it gets a line that changes.
    console.type("for i in Progress.each({1, 2, 3, 4, 5}, 'five') do Utils.sleep(0.3) end\r")
    console.wait_for("five  [........................]  0 %  0 of 5")
    console.wait_for("\rfive  [")
    console.wait_for("five  5 of 5  ✓")
    console.wait_for("In [9]: ")
    console.type("\x04")
    console.wait_for("exit")
    console.type("y\r")
    assert console.end() == 0
