"""The check of Jupyter's kernelspecs: whether ours are there and can start."""

from __future__ import annotations

from llmspell_cli.doctor.finding import Finding, fail, ok, skip
from llmspell_cli.kernelspecs.places import DEFAULT_NAME, read, searched_directories
from llmspell_cli.terminal.text import home_path

_INSTALL = "llmspell jupyter install"


def jupyter() -> Finding:
    """Every kernelspec that starts our kernel, in the directories where Jupyter looks."""
    ours, broken = [], []
    for path in sorted(path for place in searched_directories() for path in place.glob("*/kernel.json")):
        name, shown = path.parent.name, home_path(str(path))
        found = read(path.parent)
        if found is None:
            if name == DEFAULT_NAME:
                broken.append(f"{shown} can't be read")
        elif (problem := found.problem) is None:
            ours.append(name)
        else:
            broken.append(f"{shown}: {problem}")
    if broken:
        return fail("; ".join(broken), _INSTALL, kernelspecs=ours)
    if not ours:
        return skip("no kernelspec of llmspell", _INSTALL, kernelspecs=[])
    return ok(f"kernelspec {', '.join(ours)}", kernelspecs=ours)
