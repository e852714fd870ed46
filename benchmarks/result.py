"""One row of the table: a figure, what it was compared with, and whether it is what is wanted."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.rounds import Rounds, spread


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The bound that a row is judged by; `of` says which of its figures."""

    bound: float
    of: Literal["ratio", "value"] = "ratio"
    at: Literal["most", "least"] = "most"

    def met(self, figure: float) -> bool:
        """Whether the figure is within the bound."""
        return figure <= self.bound if self.at == "most" else figure >= self.bound

    def text(self, unit: str) -> str:
        """Such as `≥ 0.95 ×` or `≤ 5 ms`."""
        sign = "≤" if self.at == "most" else "≥"
        return f"{sign} {self.bound:g} {'×' if self.of == 'ratio' else unit}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A measured row. `spread` is (largest − smallest) ÷ median of the judged figure over the rounds; `foreign_cpu`
    the largest share that other processes had of the machine in a round that counts.
    """

    name: str
    what: str
    value: float
    unit: str
    baseline: float | None = None
    baseline_what: str | None = None
    ratio: float | None = None
    wanted: Wanted | None = None
    rounds: int
    spread: float
    foreign_cpu: float
    repeated_rounds: int = 0
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def good(self) -> bool | None:
        """Whether the row is what is wanted; None where nothing is."""
        if self.wanted is None:
            return None
        figure = self.ratio if self.wanted.of == "ratio" else self.value
        assert figure is not None
        return self.wanted.met(figure)


def compared(
    name: str,
    rounds: Rounds,
    *,
    what: str,
    baseline_what: str,
    unit: str,
    wanted: Wanted | None,
    details: Mapping[str, object] | None = None,
) -> Result:
    """A row judged by the median of its rounds' ratios A ÷ B."""
    return Result(
        name=name,
        what=what,
        value=rounds.a,
        unit=unit,
        baseline=rounds.b,
        baseline_what=baseline_what,
        ratio=statistics.median(rounds.ratios),
        wanted=wanted,
        rounds=len(rounds.rounds),
        spread=spread(rounds.ratios),
        foreign_cpu=rounds.foreign,
        repeated_rounds=rounds.repeated,
        details=details or {},
    )


def added(
    name: str,
    rounds: Rounds,
    *,
    what: str,
    baseline_what: str,
    unit: str,
    wanted: Wanted | None,
    details: Mapping[str, object] | None = None,
) -> Result:
    """A row judged by the median of its rounds' differences A − B."""
    return Result(
        name=name,
        what=what,
        value=statistics.median(rounds.differences),
        unit=unit,
        baseline=rounds.b,
        baseline_what=baseline_what,
        wanted=wanted,
        rounds=len(rounds.rounds),
        spread=spread(rounds.differences),
        foreign_cpu=rounds.foreign,
        repeated_rounds=rounds.repeated,
        details=details or {},
    )


def alone(
    name: str,
    rounds: Rounds,
    *,
    what: str,
    unit: str,
    wanted: Wanted | None,
    details: Mapping[str, object] | None = None,
) -> Result:
    """A row judged by the median of A itself."""
    return Result(
        name=name,
        what=what,
        value=rounds.a,
        unit=unit,
        wanted=wanted,
        rounds=len(rounds.rounds),
        spread=spread(rounds.values),
        foreign_cpu=rounds.foreign,
        repeated_rounds=rounds.repeated,
        details=details or {},
    )


def table(results: Sequence[Result]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| row | figure | compared with | ratio | wanted | | rounds | spread | foreign CPU |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        against = f"{_number(one.baseline)} {one.unit} ({one.baseline_what})" if one.baseline is not None else "–"
        mark = {True: "✓", False: "✗", None: ""}[one.good]
        cells = [
            one.name,
            f"{_number(one.value)} {one.unit}",
            against,
            f"{one.ratio:.3f}" if one.ratio is not None else "–",
            one.wanted.text(one.unit) if one.wanted else "–",
            mark,
            str(one.rounds) + (f" (+{one.repeated_rounds} noisy)" if one.repeated_rounds else ""),
            f"{one.spread:.0%}",
            f"{one.foreign_cpu:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(results: Sequence[Result], machine: Mapping[str, object], directory: Path) -> None:
    """`latest.json` and `latest.md`; rows measured in an earlier run stay unless measured again."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "latest.json"
    fresh = {one.name: {**asdict(one), "good": one.good} for one in results}
    before = json.loads(path.read_text()) if path.exists() else {}
    kept = before.get("rows", []) if before.get("machine") == machine else []
    rows = [*(row for row in kept if row["name"] not in fresh), *fresh.values()]
    path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2, ensure_ascii=False) + "\n")
    (directory / "latest.md").write_text(table([_from_row(row) for row in rows]))


def _from_row(row: Mapping[str, object]) -> Result:
    fields: dict[str, object] = {name: row[name] for name in Result.__dataclass_fields__}
    wanted = row["wanted"]
    fields["wanted"] = Wanted(**wanted) if isinstance(wanted, dict) else None
    return Result(**fields)  # type: ignore[arg-type]  # what was written by `asdict` of a Result


def _number(value: float | None) -> str:
    assert value is not None
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
