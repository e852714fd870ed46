"""The table `[hooks]`, which may also be written `[runtime.hooks]`: hooks of scripts, and built-in ones."""

from typing import Annotated

from llmspell_profiles.schema.table import Field, Table, rule, subtable
from llmspell_profiles.schema.values import Idle, LogLevel, Names, words, wrong

BUILTIN = ("logging", "metrics", "rate_limit", "caching", "cost_tracking", "retry", "security")
"""The built-in hooks; most have a table of their own."""


class LoggingHook(Table):
    """`[hooks.logging]`"""

    level: Annotated[LogLevel, words(LogLevel)] = Field(default="info", description="level of its lines")


class RateLimitHook(Table):
    """`[hooks.rate_limit]`"""

    per_minute: int = Field(default=60, ge=1, description="executions of one agent, tool or model in a minute")


class CachingHook(Table):
    """`[hooks.caching]`"""

    components: Names = Field(default=(), description="tools whose results are kept (globs); none: nothing is")
    ttl_seconds: int = Field(default=300, ge=1, description="how long a result is kept, in seconds")
    max_entries: int = Field(default=1000, ge=1, description="results kept; the oldest go")


class CostTrackingHook(Table):
    """`[hooks.cost_tracking]`: prices by model (globs), in US dollars for a million tokens."""

    input_prices: dict[str, float] = Field(default={}, description="of prompts, by model")
    output_prices: dict[str, float] = Field(default={}, description="of answers, by model")
    budget_usd: float | None = Field(
        default=None, ge=0, description="further executions are cancelled when so much was spent; unset: never"
    )


class RetryHook(Table):
    """`[hooks.retry]`: for failures that may pass by themselves."""

    max_attempts: int = Field(default=3, ge=1, le=100, description="attempts in all")
    delay_ms: int = Field(default=1000, ge=0, le=60_000, description="pause between two, in milliseconds")


class SecurityHook(Table):
    """`[hooks.security]`"""

    max_parameter_length: int = Field(
        default=10_000, ge=1, description="characters of one parameter, above which an execution is told as a violation"
    )
    block: bool = Field(default=False, description="cancel such an execution")


class HooksSettings(Table):
    """`[hooks]`"""

    enabled: bool = Field(default=True, description="hooks of scripts and of the configuration")
    rate_limit_per_minute: int | None = Field(
        default=None, ge=1, description="executions of one hook in a minute; further ones are left out; unset: no limit"
    )
    timeout_ms: int = Field(default=5000, ge=1, description="one execution, in milliseconds")
    circuit_breaker_threshold: Annotated[float, Idle()] = Field(
        default=0.01, ge=0, le=1, description="share of run time spent in hooks above which they are switched off"
    )
    max_hooks: int = Field(default=100, ge=1, description="hooks that one script may have")
    builtin: Names = Field(default=(), description=f"the built-in hooks that are on: {', '.join(BUILTIN)}")
    logging: LoggingHook = subtable("a line in the log for each execution")
    rate_limit: RateLimitHook = subtable("a limit for executions")
    caching: CachingHook = subtable("results of tools that are kept")
    cost_tracking: CostTrackingHook = subtable("what answers of models cost")
    retry: RetryHook = subtable("failed executions are tried again")
    security: SecurityHook = subtable("executions with parameters that are too long")

    @rule
    def _builtin_hooks_exist(self) -> None:
        for name in self.builtin:
            if name not in BUILTIN:
                raise wrong(f"'{name}' is not one of {', '.join(BUILTIN)}", "builtin")
