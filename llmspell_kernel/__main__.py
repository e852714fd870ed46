"""`python -m llmspell_kernel`: one kernel in this process. Knows no more than where that begins."""

from __future__ import annotations

import gc


def main() -> int:
    """Runs a kernel; returns the exit status."""
    # A start makes a hundred thousand objects that all stay; the kernel switches this on again when it answers.
    gc.disable()
    from llmspell_kernel.pydantic_plugins import leave_out_plugins

    leave_out_plugins()
    from llmspell_kernel.start import main

    return main()


if __name__ == "__main__":
    raise SystemExit(main())
