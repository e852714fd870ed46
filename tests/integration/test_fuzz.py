"""The short form of `make fuzz`: every topic from the same seed each time."""

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.trial import Topic, Trial, found_topics

INPUTS = 100


@pytest.mark.parametrize(("name", "topic"), [pytest.param(name, topic, id=name) for name, topic in found_topics()])
def test_generated_wrong_input_is_borne(name: str, topic: Topic, tmp_path: Path) -> None:
    topic(Trial(Random(f"short {name}"), tmp_path, INPUTS))
