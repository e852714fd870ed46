"""A vendor's package: imported when it is first needed, which takes a second. Knows no vendor."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class VendorPackage:
    """What a dialect speaks through; `parts` are modules that its client would import at its first use."""

    package: str
    """What has to be installed: the name of the package and of the extra."""
    parts: Sequence[str]

    _sdk: ModuleType | None = None

    @property
    def sdk(self) -> ModuleType:
        """The package, once `load` was called."""
        assert self._sdk is not None
        return self._sdk

    def load(self) -> None:
        """Imports it; called on a thread. Raises ImportError."""
        self._sdk = importlib.import_module(self.package)
        for part in self.parts:
            importlib.import_module(f"{self.package}.resources.{part}")

    def connection(self, *, connect_s: float, trust_env: bool) -> dict[str, Any]:
        """What every client is made with: it repeats nothing by itself and has no limit but for connecting."""
        timeout = self.sdk.Timeout(None, connect=connect_s)
        http_client = self.sdk.DefaultAsyncHttpxClient(trust_env=trust_env, timeout=timeout)
        return {"max_retries": 0, "timeout": timeout, "http_client": http_client}
