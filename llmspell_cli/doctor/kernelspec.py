"""The check of Jupyter's kernelspecs: whether ours are there and start a Python that exists."""

from __future__ import annotations

import json
import os
from pathlib import Path

from llmspell_cli.doctor.finding import Finding, fail, ok, skip
from llmspell_cli.terminal.text import home_path

_INSTALL = "llmspell jupyter install"


def jupyter() -> Finding:
    """Every kernelspec that starts our kernel, in the directories where Jupyter looks."""
    # Jupyter's own rules for its directories; 30 ms.
    from jupyter_core.paths import jupyter_path

    ours, broken = [], []
    places = [Path(place) for place in dict.fromkeys(jupyter_path("kernels"))]
    for path in sorted(path for place in places for path in place.glob("*/kernel.json")):
        name, shown = path.parent.name, home_path(str(path))
        try:
            argv = json.loads(path.read_bytes())["argv"]
        except (OSError, ValueError, LookupError, TypeError):
            if name == "llmspell":
                broken.append(f"{shown} can't be read")
            continue
        if not isinstance(argv, list) or "llmspell_kernel" not in argv:
            continue
        if os.access(argv[0], os.X_OK):
            ours.append(name)
        else:
            broken.append(f"{shown} starts {argv[0]}, which is not there")
    if broken:
        return fail("; ".join(broken), _INSTALL, kernelspecs=ours)
    if not ours:
        return skip("no kernelspec of llmspell", _INSTALL, kernelspecs=[])
    return ok(f"kernelspec {', '.join(ours)}", kernelspecs=ours)
