"""Places that aren't there yet when they are allowed: what is made there is, and a link in their place is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmspell_protocol.beneath import NotBeneath, Places, directory_beneath, entry_beneath, open_beneath

WRITE = os.O_WRONLY | os.O_CREAT


def written(places: Places, path: Path) -> None:
    """Makes the file."""
    os.close(open_beneath(places, str(path), WRITE))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with no link in its path."""
    return tmp_path.resolve()


@pytest.mark.parametrize("names", ["new", "new/deeper", "new/deeper/deepest"])
def test_below_a_directory_that_is_made_later_everything_is_allowed(place: Path, names: str) -> None:
    places = Places([str(place / names)])
    (place / names / "sub").mkdir(parents=True)
    written(places, place / names / "sub" / "x")
    written(places, place / names / "y")
    with directory_beneath(places, str(place / names)) as descriptor:
        assert sorted(os.listdir(descriptor)) == ["sub", "y"]


def test_before_it_is_made_the_system_says_that_it_is_not_there(place: Path) -> None:
    places = Places([str(place / "new" / "deeper")])
    for path in ("new/deeper/x", "new/deeper/sub/x"):
        with pytest.raises(FileNotFoundError):
            written(places, place / path)
    with pytest.raises(NotBeneath):
        written(places, place / "other" / "x")


def test_what_is_beside_and_above_it_is_not_allowed(place: Path) -> None:
    places = Places([str(place / "new" / "deeper")])
    (place / "new" / "deeper").mkdir(parents=True)
    (place / "new" / "beside").mkdir()
    for path in ("new/x", "new/beside/x", "x", "deeper", "new/deeper/../x", "new/deeperx"):
        with pytest.raises(NotBeneath):
            written(places, place / path)


def test_directories_on_the_way_can_be_made_and_nothing_else(place: Path) -> None:
    places = Places([str(place / "new" / "deeper")])
    with pytest.raises(NotBeneath), entry_beneath(places, str(place / "new")):
        pass
    with entry_beneath(places, str(place / "new"), leads=True) as (directory, name):
        os.mkdir(name, dir_fd=directory)
    with entry_beneath(places, str(place / "new" / "deeper"), leads=True) as (directory, name):
        os.mkdir(name, dir_fd=directory)
    written(places, place / "new" / "deeper" / "x")
    for other in ("new/other", "other", "new/deeper/../other"):
        with pytest.raises(NotBeneath), entry_beneath(places, str(place / other), leads=True):
            pass


@pytest.mark.parametrize("at", ["new", "new/deeper"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_in_its_place_is_not_what_was_allowed(place: Path, at: str, absolute: bool) -> None:
    places = Places([str(place / "new" / "deeper")])
    (place / "victim" / "deeper").mkdir(parents=True)
    victim = place / "victim" if at == "new" else place / "victim" / "deeper"
    (place / at).parent.mkdir(exist_ok=True)
    (place / at).symlink_to(victim if absolute else os.path.relpath(victim, (place / at).parent))
    with pytest.raises(NotBeneath):
        written(places, place / "new" / "deeper" / "x")
    with pytest.raises(NotBeneath), directory_beneath(places, str(place / "new" / "deeper")):
        pass
    assert list((place / "victim" / "deeper").iterdir()) == []


def test_a_link_inside_of_it_leads_out_of_it_no_more_than_elsewhere(place: Path) -> None:
    places = Places([str(place / "new")])
    (place / "victim").mkdir()
    (place / "new").mkdir()
    (place / "new" / "out").symlink_to(place / "victim")
    (place / "new" / "file").symlink_to(place / "victim" / "x")
    for path in ("new/out/x", "new/file"):
        with pytest.raises(NotBeneath):
            written(places, place / path)
    assert list((place / "victim").iterdir()) == []


def test_another_directory_that_gets_the_name_of_the_one_above_is_another(place: Path) -> None:
    (place / "above").mkdir()
    places = Places([str(place / "above" / "new")])
    (place / "above").rename(place / "moved")
    (place / "above" / "new").mkdir(parents=True)
    with pytest.raises(NotBeneath):
        written(places, place / "above" / "new" / "x")


@pytest.mark.parametrize("there", ["link", "file"])
def test_what_is_there_and_is_no_directory_has_nothing_below_it_later(place: Path, there: str) -> None:
    if there == "link":
        (place / "new").symlink_to(place / "nowhere")
    else:
        (place / "new").write_text("a file")
    places = Places([str(place / "new"), str(place / "new" / "below")])
    (place / "new").unlink()
    (place / "new" / "below").mkdir(parents=True)
    for path in ("new/x", "new/below/x"):
        with pytest.raises(NotBeneath):
            written(places, place / path)
