"""The table `[hooks]`, which may also be written `[runtime.hooks]`."""

from llmspell_profiles.schema.table import Field, IdleTable


class HooksSettings(IdleTable):
    """`[hooks]`"""

    enabled: bool = Field(default=False, description="the hook system")
    rate_limit_per_minute: int = Field(default=100, ge=1, description="executions of one hook in a minute")
    timeout_ms: int = Field(default=5000, ge=1, description="one execution, in milliseconds")
    circuit_breaker_threshold: float = Field(
        default=0.01, ge=0, le=1, description="share of run time spent in hooks above which they are switched off"
    )
    max_hooks: int = Field(default=100, ge=1, description="registered hooks")
