"""`python -m tests.fuzz`: every topic for a bounded time, from a printed seed, which tries the same inputs again."""

import argparse
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.trial import Topic, Trial, found_topics

UNBOUNDED = 1 << 62


def main() -> int:
    """0 where everything was borne, 1 where something was not, 2 for a topic that there is not."""
    topics = dict(found_topics())
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each topic (default 60)")
    parser.add_argument("--inputs", type=int, default=UNBOUNDED, help="of each topic at most")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    parser.add_argument("--only", default=",".join(topics), help=f"of {', '.join(topics)}")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := [name for name in chosen if name not in topics]:
        parser.error(f"there is no topic {', '.join(unknown)}; there are {', '.join(topics)}")
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    borne = [_run(name, topics[name], seed, options.seconds, options.inputs) for name in chosen]
    return 0 if all(borne) else 1


def _run(name: str, topic: Topic, seed: int, seconds: float, inputs: int) -> bool:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llmspell-fuzz-") as directory:
        trial = Trial(random.Random(f"{seed} {name}"), Path(directory), inputs, started + seconds)
        try:
            topic(trial)
            verdict = "borne"
        except Exception:  # noqa: BLE001  whatever a topic raises is its finding
            traceback.print_exc()
            verdict = f"NOT BORNE at input {trial.tried}; again: python -m tests.fuzz --only {name} --seed {seed}"
    print(f"{name}: {trial.tried} inputs in {time.monotonic() - started:.0f} s, seed {seed}: {verdict}", flush=True)
    return verdict == "borne"


if __name__ == "__main__":
    sys.exit(main())
