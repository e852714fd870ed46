"""Chat templates: endless ones are found out in little time and memory, odd ones end, and sound ones pass."""

import contextlib

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.candle.template_trial import TemplateTrial
from tests.fuzz.trial import Trial
from tests.support.hostile_templates import SOUND, hostile, odd

ENDLESS_SHARE = 0.04
"""Each one takes a second."""


def run(trial: Trial) -> None:
    """Tries one template after the other."""
    while trial.more():
        is_endless = trial.random.random() < ENDLESS_SHARE
        is_odd = trial.random.random() < 0.8
        template = hostile(trial.random) if is_endless else odd(trial.random) if is_odd else trial.random.choice(SOUND)
        tried = TemplateTrial(
            "xllamacpp",
            "m",
            {"tokenizer.chat_template": template},
            trial.directory,
            computes_s=1,
            memory_bytes=250 << 20,
        )
        try:
            tried.check()
        except ModelLoadFailed as error:
            if not (is_endless or is_odd):
                raise AssertionError(f"a sound template was refused: {template!r}") from error
        else:
            assert not is_endless, f"an endless template passed: {template!r}"
        with contextlib.suppress(FileNotFoundError):
            (trial.directory / "trial.sock").unlink()
