"""What other processes compute on this machine's cores, as the system tells it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_providers.candle import cpu


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells what others use")
def test_a_real_process_that_computes_is_others_use() -> None:
    before = cpu.foreign_use()
    subprocess.run(
        [sys.executable, "-S", "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True, timeout=60
    )
    after = cpu.foreign_use()
    assert before is not None
    assert after is not None
    assert after.used_s - before.used_s > 0.2
