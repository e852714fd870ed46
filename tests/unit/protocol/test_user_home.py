"""Where a user's home is, and what a path that begins with `~` means."""

from __future__ import annotations

import os
import pwd

import pytest

from llmspell_protocol.errors import ConfigError, InvalidRequest
from llmspell_protocol.user_home import HINT, expanded_user, user_home_text


@pytest.fixture
def unknown_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system's list doesn't name, as in containers."""

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize(
    ("env", "home"),
    [({"HOME": "/a"}, "/a"), ({"HOME": "/a", "USERPROFILE": "/b"}, "/a"), ({"HOME": "", "USERPROFILE": "/b"}, "/b")],
)
def test_variables_say_it_first(env: dict[str, str], home: str) -> None:
    assert user_home_text(env) == home


def test_the_system_says_it_where_no_variable_does() -> None:
    assert user_home_text({}) == pwd.getpwuid(os.getuid()).pw_dir


@pytest.mark.parametrize("env", [{}, {"HOME": ""}, {"HOME": "relative"}, {"HOME": "~"}, {"HOME": "/caf\udce9"}])
@pytest.mark.usefixtures("unknown_user")
def test_a_home_that_there_is_not_or_that_can_not_be_used_is_told(env: dict[str, str]) -> None:
    for ask in (lambda: user_home_text(env), lambda: expanded_user("~/x", env), lambda: expanded_user("~", env)):
        with pytest.raises(ConfigError) as told:
            ask()
        assert told.value.hint == HINT
        told.value.message.encode()


def test_a_tilde_means_a_home_at_the_beginning_alone() -> None:
    env = {"HOME": "/a"}
    assert [expanded_user(path, env) for path in ("~", "~/x", "x/~", "./~nosuch", "/~", "")] == [
        *("/a", "/a/x", "x/~", "./~nosuch", "/~", "")
    ]
    assert expanded_user("~root/x", env) == pwd.getpwnam("root").pw_dir + "/x"
    with pytest.raises(InvalidRequest, match="~nosuch/x: there is no user 'nosuch'"):
        expanded_user("~nosuch/x", env)
