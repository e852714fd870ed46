"""What a topic is given: random numbers from a seed, how long to go on, and a directory. It knows no topic."""

import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz import topics


@dataclass
class Trial:
    """One run of one topic: it ends after `inputs` inputs or at `deadline` (`time.monotonic()`), what comes first."""

    random: Random
    directory: Path
    inputs: int
    deadline: float | None = None
    tried: int = field(default=0, init=False)

    def more(self) -> bool:
        """True, and one more input counted, where another input is to be tried."""
        if self.tried >= self.inputs or (self.deadline is not None and time.monotonic() > self.deadline):
            return False
        self.tried += 1
        return True


Topic = Callable[[Trial], None]


def found_topics() -> Iterator[tuple[str, Topic]]:
    """(name, run) of every topic, by name."""
    for module in sorted(pkgutil.iter_modules(topics.__path__), key=lambda found: found.name):
        yield module.name, importlib.import_module(f"{topics.__name__}.{module.name}").run
