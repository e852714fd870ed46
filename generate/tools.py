"""Writes the table of tools that kernel and command line read in place of the tools' code.

python -m generate.tools           writes what has changed
python -m generate.tools --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from generate.files import GeneratedFiles
from llmspell_protocol.content import to_content
from llmspell_protocol.tools.builtin import TABLE
from llmspell_tools.registry import BUILTIN, builtin_tool


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    rows = [to_content(builtin_tool(name).describe()) for name in sorted(BUILTIN)]
    return {TABLE.name: "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"}


FILES = GeneratedFiles(TABLE.parent, rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
