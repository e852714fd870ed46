"""Writes `llmspell_cli/completion/sections.py`: the tables of the configuration, which completion offers.

python -m generate.sections           writes what has changed
python -m generate.sections --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from generate.files import ROOT, GeneratedFiles
from llmspell_profiles.schema.schema_keys import all_keys
from llmspell_protocol.backends import LOCAL_BACKENDS

HEAD = '''"""Tables of the configuration, written by `make schemas`: completion has no time to load the schema."""

SECTIONS = (
'''


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    paths = {key.path[:end] for key in all_keys({}) for end in range(1, len(key.path))}
    names = {".".join(path) for path in paths} | {f"providers.{name}" for name in LOCAL_BACKENDS}
    return {"sections.py": HEAD + "".join(f'    "{name}",\n' for name in sorted(names)) + ")\n"}


FILES = GeneratedFiles(ROOT / "llmspell_cli" / "completion", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
