"""Writes `llmspell_cli/completion/sections.py`: tables and keys of the configuration, which completion offers.

Keys that nothing reads yet are left out.

python -m generate.sections           writes what has changed
python -m generate.sections --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from generate.files import ROOT, GeneratedFiles
from llmspell_profiles.problems import KeyPath
from llmspell_profiles.schema.schema_keys import all_keys, provider_class
from llmspell_protocol.backends import LOCAL_BACKENDS

HEAD = '''"""Tables and keys of the settings, written by `make schemas`: completion has no time to load the schema."""
'''


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    providers = {name: provider_class(name) for name in LOCAL_BACKENDS}
    keys = [key.path for key in all_keys(providers) if not key.idle]
    sections = {path[:end] for path in keys for end in range(1, len(path))}
    return {"sections.py": HEAD + _listed("SECTIONS", sections) + _listed("KEYS", keys)}


def _listed(name: str, paths: Iterable[KeyPath]) -> str:
    lines = "".join(f'    "{each}",\n' for each in sorted(".".join(path) for path in paths))
    return f"\n{name} = (\n{lines})\n"


FILES = GeneratedFiles(ROOT / "llmspell_cli" / "completion", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
