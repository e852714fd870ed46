"""Checkpoints whose configuration says something else than it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any


def changed_checkpoint(source: Path, target: Path, name: str, **changes: Any) -> Path:
    """A copy of a checkpoint's directory in which values of one JSON file are changed."""
    shutil.copytree(source, target)
    values = json.loads((target / name).read_text())
    (target / name).write_text(json.dumps({**values, **changes}))
    return target
