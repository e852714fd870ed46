"""Where settings come from: profiles, files, defaults, and which of them wins."""

from pathlib import Path

import pytest

from llmspell_profiles.loading.home import llmspell_home
from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_profiles.loading.toml_source import key_positions
from llmspell_profiles.schema.schema_keys import value_at
from llmspell_protocol.errors import ConfigError


def load(cwd: Path, profile: str | None = None, config: str | None = None, **env: str) -> LoadedSettings:
    env = {"HOME": str(cwd / "home"), **env}
    return load_settings(profile=profile, config=Path(config) if config else None, env=env, cwd=cwd)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def port(loaded: LoadedSettings) -> int:
    return loaded.settings.kernel.port


DISCOVERED = [
    "llmspell.toml",
    ".llmspell.toml",
    "config/llmspell.toml",
    "home/.llmspell/config.toml",
    "home/.config/llmspell/config.toml",
]


def test_the_first_file_found_is_the_only_one_read(tmp_path: Path) -> None:
    for number, place in reversed(list(enumerate(DISCOVERED, 1))):
        write(tmp_path / place, f"kernel.port = {number}\nmodels.max_queue = {number}")
        loaded = load(tmp_path)
        assert (port(loaded), loaded.source) == (number, tmp_path / place)


def test_files_below_llmspell_home_and_xdg_config_home_are_found(tmp_path: Path) -> None:
    write(tmp_path / "xdg/llmspell/config.toml", "kernel.port = 5")
    assert port(load(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "xdg"))) == 5
    write(tmp_path / "spell/config.toml", "kernel.port = 4")
    loaded = load(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "xdg"), LLMSPELL_HOME=str(tmp_path / "spell"))
    assert (port(loaded), loaded.home) == (4, tmp_path / "spell")


def test_a_named_base_ends_the_search(tmp_path: Path) -> None:
    write(tmp_path / "llmspell.toml", "kernel.port = 1")
    write(tmp_path / "named.toml", "kernel.port = 2")
    write(tmp_path / "variable.toml", "kernel.port = 3")
    assert port(load(tmp_path, config="named.toml", LLMSPELL_CONFIG="variable.toml")) == 2
    assert port(load(tmp_path, LLMSPELL_CONFIG="variable.toml")) == 3
    assert port(load(tmp_path, profile="minimal", LLMSPELL_CONFIG="variable.toml")) == 9555


def test_variables_beat_the_file_and_flags_beat_variables(tmp_path: Path) -> None:
    write(tmp_path / "llmspell.toml", "kernel.port = 1")
    env = {"HOME": str(tmp_path), "LLMSPELL_KERNEL__PORT": "2"}
    assert port(load_settings(env=env, cwd=tmp_path)) == 2
    assert port(load_settings(env=env, cwd=tmp_path, flags={"kernel.port": 3})) == 3


def test_a_flag_out_of_range_is_named_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^kernel\.port: 70000 is out of range \(0 to 65531\)$"):
        load_settings(env={}, cwd=tmp_path, flags={"kernel.port": 70_000})


def test_a_file_is_laid_over_the_profile_that_it_extends(tmp_path: Path) -> None:
    write(
        tmp_path / "llmspell.toml",
        "extends = 'candle'\nkernel.port = 7\n"
        "[providers.candle]\nmodel = 'tinyllama'\n[providers.candle.options]\ndevice = 'cpu'",
    )
    loaded = load(tmp_path)
    candle = loaded.settings.providers.tables["candle"]
    assert (loaded.profile, loaded.settings.extends, port(loaded)) == ("candle", "candle", 7)
    assert (candle.default_model, value_at(loaded.settings, ("providers", "candle", "device"))) == ("tinyllama", "cpu")
    assert (candle.timeout_seconds, loaded.settings.runtime.log_level) == (300, "info")
    assert loaded.warnings == ()


def test_without_any_configuration_both_local_backends_are_there(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert (loaded.source, loaded.profile, loaded.warnings) == (None, None, ())
    assert sorted(loaded.settings.providers.enabled) == ["candle", "ollama"]
    assert loaded.settings.providers.default == "candle"


def test_over_a_profile_tables_merge_key_by_key_and_arrays_replace(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text(
        "extends = 'sessions'\n[engines.lua]\ntimeout_ms = 9\n[runtime.sessions]\nmax_sessions = 7\n"
        "[events.filtering]\ninclude_types = ['a']\n[providers.candle]\n"
    )
    settings = load(tmp_path).settings
    assert (settings.engines.lua.stdlib, settings.engines.lua.timeout_ms) == ("All", 9)
    sessions = settings.runtime.sessions
    assert (sessions.enabled, sessions.max_sessions, settings.runtime.log_level) == (True, 7, "info")
    assert (settings.events.enabled, settings.events.buffer_size) == (True, 1000)
    assert settings.events.filtering.include_types == ("a",)
    (tmp_path / "llmspell.toml").write_text("extends = 'candle'\n[providers.candle]\ncontext_size = 512\n")
    candle = load(tmp_path).settings.providers.tables["candle"]
    assert (candle.default_model, candle.timeout_seconds) == ("smollm2:135m", 300)


@pytest.mark.parametrize("toml", [None, "[providers.candle]", "extends = 'candle'"])
def test_the_model_directory_moves_with_llmspell_home(tmp_path: Path, toml: str | None) -> None:
    if toml is not None:
        write(tmp_path / "llmspell.toml", toml)
    env = {"LLMSPELL_HOME": "/srv/with$sign", "HOME": "/home/someone"}
    moved = load_settings(env=env, cwd=tmp_path).settings
    assert value_at(moved, ("providers", "candle", "model_directory")) == Path("/srv/with$sign/models/candle")
    del env["LLMSPELL_HOME"]
    unmoved = load_settings(env=env, cwd=tmp_path).settings
    directory = Path("/home/someone/.llmspell/models/candle")
    assert value_at(unmoved, ("providers", "candle", "model_directory")) == directory


@pytest.mark.parametrize(
    ("written", "directory"),
    [
        ("~/weights", "/home/someone/weights"),
        ("~/.llmspell/weights", "/home/someone/.llmspell/weights"),
        ("${HOME}/weights", "/home/someone/weights"),
        ("${DATA}/weights", "/data/weights"),
        ("${NOWHERE:-/fallback}/weights", "/fallback/weights"),
        ("${DATA:-/fallback}/weights", "/data/weights"),
        ("${EMPTY:-/fallback}/weights", "/fallback/weights"),
        ("/cash/$$DATA", "/cash/$DATA"),
        ("/cash/$DATA", "/cash/$DATA"),
    ],
)
def test_references_in_file_values_are_replaced(tmp_path: Path, written: str, directory: str) -> None:
    write(tmp_path / "llmspell.toml", f"[providers.candle]\nmodel_directory = '{written}'")
    loaded = load(tmp_path, HOME="/home/someone", LLMSPELL_HOME="/srv", DATA="/data", EMPTY="")
    assert value_at(loaded.settings, ("providers", "candle", "model_directory")) == Path(directory)


def test_relative_paths_are_relative_to_the_working_directory(tmp_path: Path) -> None:
    write(tmp_path / "llmspell.toml", "[providers.candle]\nmodel_directory = 'weights'")
    directory = value_at(load(tmp_path).settings, ("providers", "candle", "model_directory"))
    assert directory == tmp_path / "weights"


def test_references_are_not_replaced_in_variables(tmp_path: Path) -> None:
    write(tmp_path / "llmspell.toml", "[providers.candle]")
    loaded = load(tmp_path, LLMSPELL_CANDLE_MODEL="${HOME}")
    assert loaded.settings.providers.tables["candle"].default_model == "${HOME}"


def test_a_byte_order_mark_and_windows_line_ends_are_tolerated(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_bytes(b"\xef\xbb\xbfkernel.port = 3\r\n[models]\r\nmax_queue = 2\r\n")
    loaded = load(tmp_path)
    assert (port(loaded), loaded.settings.models.max_queue) == (3, 2)


@pytest.mark.parametrize(
    ("env", "home"),
    [
        ({"LLMSPELL_HOME": "/srv/spell", "HOME": "/home/someone"}, "/srv/spell"),
        ({"LLMSPELL_HOME": "~/spell", "HOME": "/home/someone"}, "/home/someone/spell"),
        ({"LLMSPELL_HOME": "", "HOME": "/home/someone"}, "/home/someone/.llmspell"),
        ({"USERPROFILE": "/users/someone"}, "/users/someone/.llmspell"),
    ],
)
def test_the_home_directory(env: dict[str, str], home: str) -> None:
    assert llmspell_home(env) == Path(home)


def test_each_key_of_a_text_is_found_where_it_stands() -> None:
    text = '''# [not.a.table]
a = """
b = 1
"""   # text
"quoted key".x = 'c = 2'
list = [ # d = 3
  1, "]", { e = 4, "f" = [5] },
]
[table . inner] # comment
g = 1979-05-27T07:32:00Z
  h.i = { j = """\\"""", k = 1 }
[[array]]
l = 1
[[array]]
l = 2'''
    lines = {".".join(path): (place.line, place.column) for path, place in key_positions(text).items()}
    assert lines == {
        "a": (2, 1),
        "quoted key": (5, 1),
        "quoted key.x": (5, 14),
        "list": (6, 1),
        "list.e": (7, 13),
        "list.f": (7, 20),
        "table": (9, 2),
        "table.inner": (9, 10),
        "table.inner.g": (10, 1),
        "table.inner.h": (11, 3),
        "table.inner.h.i": (11, 5),
        "table.inner.h.i.j": (11, 11),
        "table.inner.h.i.k": (11, 25),
        "array": (12, 3),
        "array.l": (13, 1),
    }


def test_defaults_that_are_read_late_know_where_llmspell_lives(tmp_path: Path) -> None:
    env = {"HOME": "/home/someone", "LLMSPELL_HOME": "/srv/spell"}
    settings = load_settings(env=env, cwd=tmp_path).settings
    assert settings.runtime.state_persistence.path == Path("/srv/spell/state.db")
    assert settings.runtime.state_persistence is settings.runtime.state_persistence
    assert settings.rag.debug.debug_dump_path == tmp_path / "debug" / "rag"
    assert settings.as_data()["runtime"]["sessions"]["path"] == Path("/srv/spell/sessions.db")
