"""What the tests of state share: a bench of either backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.state_bench import StateBench


@pytest.fixture(params=["sqlite", "memory"])
def state_bench(request: pytest.FixtureRequest, tmp_path: Path) -> StateBench:
    """Both backends, one after the other."""
    path = tmp_path / "state.db" if request.param == "sqlite" else None
    return StateBench(path, backup={"backup_dir": str(tmp_path / "backups")})
