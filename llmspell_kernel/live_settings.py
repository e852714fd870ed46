"""The settings a kernel runs with: read again while it runs, and taken over by the parts that keep some of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmspell_profiles.loading.loader import LoadedSettings
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.backends import LOCAL_BACKENDS

if TYPE_CHECKING:
    from llmspell_protocol.areas.kernel import KernelReloadReply

log = logging.getLogger(__name__)


OnChange = Callable[[Settings, Settings], None]
"""(old, new): the new ones are in force already."""


class LiveSettings:
    """The settings in force; `read` loads the configuration anew."""

    def __init__(self, loaded: LoadedSettings, read: Callable[[], LoadedSettings]) -> None:
        self.loaded = loaded
        self._read = read
        self._on_change: list[OnChange] = []

    def __call__(self) -> Settings:
        """The settings in force now."""
        return self.loaded.settings

    def local_backends(self) -> list[str]:
        """Names of the configured local backends."""
        enabled = self().providers.enabled
        return [name for name, table in enabled.items() if table.provider_type in LOCAL_BACKENDS]

    def on_change(self, subscriber: OnChange) -> None:
        """Calls `subscriber` after each change, in order of subscription; others ask when they need a setting."""
        self._on_change.append(subscriber)

    def reload(self) -> KernelReloadReply:
        """Reads the configuration again and applies what a running kernel can change.

        Raises:
            LlmspellError: it doesn't validate; the old settings stay.
        """
        # Only a reload needs it.
        from llmspell_kernel.reload import plan
        from llmspell_protocol.areas.kernel import KernelReloadReply

        fresh = self._read()
        old = self.loaded.settings
        planned = plan(old, fresh.settings)
        self.loaded = fresh._replace(settings=planned.settings, kept=tuple(planned.restart_needed))
        if planned.settings != old:
            for subscriber in self._on_change:
                subscriber(old, planned.settings)
        log.info(
            "configuration reloaded; applied: %s; at the next load: %s; needs a restart: %s",
            *(", ".join(keys) or "nothing" for keys in planned[1:]),
        )
        return KernelReloadReply(
            applied=planned.applied,
            at_next_load=planned.at_next_load,
            restart_needed=planned.restart_needed,
            warnings=fresh.warnings,
        )
