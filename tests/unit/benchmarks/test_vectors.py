"""Synthetic vectors are the same for the same seed and lie in topics; the picture of growth is well-formed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.clustered import BLOCK, clustered, questions
from benchmarks.growth import Point, picture

np = pytest.importorskip("numpy")


def test_vectors_of_a_seed_are_the_same_and_those_of_a_stream_others() -> None:
    one, same, other, stream = (
        np.vstack(list(clustered(BLOCK + 5, 16, *about))) for about in ((1,), (1,), (2,), (1, 7))
    )
    assert one.shape == (BLOCK + 5, 16)
    assert one.dtype == np.float32
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    assert (one == same).all()
    for different in (other, stream):
        assert not (one == different).all(axis=1).any()


def test_questions_lie_in_the_topics_of_the_vectors() -> None:
    asked = questions(50, 64, 3)
    near = (asked @ np.vstack(list(clustered(5000, 64, 3))).T).max(axis=1)
    far = (asked @ np.vstack(list(clustered(5000, 64, 4))).T).max(axis=1)
    assert near.mean() > far.mean() + 0.1


def test_the_picture_of_growth_has_a_line_for_each_figure() -> None:
    points = [Point(1_000, 30.0, 0.2, 1.0, 1.0, 4.0), Point(1_000_000, 900.0, 2.0, 0.99, 2_000.0, 4_000.0)]
    drawn = ElementTree.fromstring(picture(points))
    paths = [one for one in drawn.iter() if one.tag.endswith("path") and one.get("fill") == "none"]
    assert len(paths) == 4
    assert {"1,000,000", "ms to search", "MB of disk"} <= {one.text for one in drawn.iter()}
