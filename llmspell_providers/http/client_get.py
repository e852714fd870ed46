"""One GET by the client, for the answers that a plain socket does not understand."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from llmspell_protocol.addresses import Address
from llmspell_providers.http.client import Redirected, open_client, with_the_proxy
from llmspell_providers.http.get_json import ProbeFailed
from llmspell_providers.http.reasons import reason_of


async def client_get(address: Address, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """The status and the body; raises ValueError for what can't be sent or taken, `ProbeFailed`, and `ConfigError`."""
    async with open_client(address) as client:
        try:
            answer = await client.get(f"{address.url}{path}", headers={"Accept": "application/json", **headers})
        except httpx2.HTTPError as error:
            again = not isinstance(error, Redirected)
            raise ProbeFailed(with_the_proxy(address, reason_of(error)), again=again) from None
        return answer.status_code, answer.content
