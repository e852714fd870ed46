"""Configuration read by a user without rights: files that must not be read, directories that can't be written.

Each runs in a process that gives up root, so that the outcome is the same for every user who runs the tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

READS_A_FORBIDDEN_FILE = """
import os, sys
from pathlib import Path
from llmspell_protocol.errors import ConfigError
from llmspell_profiles.loading.loader import load_settings
if os.getuid() == 0:
    os.setuid(65534)
try:
    load_settings(config=Path("custom.toml"), env={}, cwd=Path(sys.argv[1]))
except ConfigError as error:
    print(error.message)
"""


def test_a_file_that_must_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "custom.toml").touch(0)
    command = [sys.executable, "-c", READS_A_FORBIDDEN_FILE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "cannot read configuration file custom.toml: permission denied\n"


SHOWS_A_PATH = """
import os, sys
from pathlib import Path
from llmspell_profiles.schema.schema_keys import value_at
from llmspell_profiles.loading.loader import load_settings
from llmspell_profiles.loading.profiles import profile_path
from llmspell_profiles.loading.toml_source import read_toml

profile = read_toml(profile_path(sys.argv[1]), f"profile {sys.argv[1]}")

def show(env):
    # The package may stand in a folder that other users may not enter.
    loaded = load_settings(
        profile=sys.argv[1], env={"HOME": "/home/someone"} | env, cwd=Path("/"), read=lambda path, name: profile
    )
    print(value_at(loaded.settings, ("rag", "vector_storage", "persistence_path")))
    print(*[warning for warning in loaded.warnings if "has no effect" not in warning], sep="\\n")

load_settings(profile=sys.argv[1], env={}, cwd=Path("/"))
if os.getuid() == 0:
    os.setuid(65534)
show({})
show({"LLMSPELL_RAG__VECTOR_STORAGE__PERSISTENCE_PATH": "/srv/vectors"})
"""


def test_what_a_profile_has_outside_the_home_directory_moves_there_where_it_can_not_be_written() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOWS_A_PATH, "rag-production"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        "/home/someone/.llmspell/rag/vectors",
        "profile rag-production: rag.vector_storage.persistence_path, rag.security.audit_log_path, "
        "rag.backup.backup_path can't be written on this machine; below /home/someone/.llmspell instead",
        "/srv/vectors",
        "profile rag-production: rag.security.audit_log_path, rag.backup.backup_path can't be written on this machine; "
        "below /home/someone/.llmspell instead",
    ]
