"""Writes `docs/reference/configuration.md` and the JSON Schema beside it, from the settings' schema.

python profiles/generate_reference.py           writes what has changed
python profiles/generate_reference.py --check   changes nothing; exit status 1 and the names where something would
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from generate.files import ROOT, GeneratedFiles
from llmspell_profiles.showing.json_schema import json_schema
from llmspell_profiles.showing.markdown import reference


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {
        "configuration.md": reference(),
        "configuration.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
    }


FILES = GeneratedFiles(ROOT / "docs" / "reference", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
