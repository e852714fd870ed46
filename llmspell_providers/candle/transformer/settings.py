"""How tokens are chosen, as one value: requests whose values are equal can be generated together. Knows no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one generation needs to be told about choosing tokens; None is the checkpoint's own value.

    `repeat_last_n` is how many tokens the penalty looks back at; None and -1 are all of them.
    """

    samples: bool
    num_beams: int
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    seed: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], *, own_samples: bool, own_beams: int) -> Settings:
        """The settings of a request's resolved options; what makes no difference to greedy requests is left out.

        Where a request names no temperature, or no beams, the checkpoint's own way of decoding is kept (`own_samples`,
        `own_beams`); but to ask for a temperature is to ask for one random reply, without beams.
        """
        temperature, beams = options.get("temperature"), options.get("num_beams")
        penalty, window = options.get("repeat_penalty"), options.get("repeat_last_n")
        if window == 0:
            penalty, window = 1.0, None
        common: dict[str, Any] = {
            "repeat_penalty": None if penalty is None else float(penalty),
            "repeat_last_n": None if penalty in (None, 1.0) else window,
        }
        if not (own_samples if temperature is None else temperature > 0):
            return cls(samples=False, num_beams=beams or own_beams, **common)
        return cls(
            samples=True,
            num_beams=beams or (own_beams if temperature is None else 1),
            temperature=temperature,
            top_k=options.get("top_k"),
            top_p=options.get("top_p"),
            min_p=options.get("min_p"),
            seed=options.get("seed"),
            **common,
        )

    @property
    def is_shared(self) -> bool:
        """Whether it may share a batch: a reply that a seed decides must not depend on other rows."""
        return self.seed is None

    def changes(self) -> dict[str, Any]:
        """The fields of transformers' `GenerationConfig` that differ from the checkpoint's own."""
        wanted = {
            "do_sample": self.samples,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "num_beams": self.num_beams,
        }
        return {name: value for name, value in wanted.items() if value is not None}
