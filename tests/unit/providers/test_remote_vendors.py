"""What is known about vendors: the same in the code, in the settings and in the guide."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from llmspell_profiles.schema.providers import CloudType
from llmspell_protocol.vendors import KEY_VARIABLES
from llmspell_providers.remote.vendors import OWN_SERVER, VENDORS, vendor_of

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "providers.md"


def test_every_type_of_the_settings_is_a_vendor() -> None:
    assert set(VENDORS) == set(get_args(CloudType)) == set(KEY_VARIABLES)


@pytest.mark.parametrize("name", VENDORS)
def test_the_guide_says_where_a_vendor_is(name: str) -> None:
    url = VENDORS[name].base_url
    address = f"`{url}`" if url else "none: only through a gateway named by `base_url`"
    assert f"| `{name}` | {address} |" in GUIDE.read_text().splitlines()


@pytest.mark.parametrize(
    ("urls", "own"),
    [
        ([], False),
        (["https://api.openai.com/v1"], False),
        (["https://eu.api.openai.com/v1"], False),
        (["http://localhost:8000/v1"], True),
    ],
)
def test_openai_at_another_address_is_a_compatible_server(urls: list[str], own: bool) -> None:
    assert (vendor_of("openai", urls) is OWN_SERVER) == own
