"""What is known about vendors: the same in the code, in the settings and in the guide."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from llmspell_profiles.providers import CloudType
from llmspell_providers.registry import CLOUD_TYPES
from llmspell_providers.remote.vendors import OWN_SERVER, VENDORS, Vendor, vendor_of

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "providers.md"


def _row(name: str, address: str, vendor: Vendor) -> str:
    abilities = (vendor.lists, vendor.embeds, vendor.continues, vendor.calls_tools)
    return f"| {name} | {address} | {' | '.join('yes' if able else 'no' for able in abilities)} |"


def test_every_type_of_the_settings_is_a_vendor() -> None:
    assert set(VENDORS) == set(get_args(CloudType)) == set(CLOUD_TYPES)


@pytest.mark.parametrize("name", VENDORS)
def test_the_guide_says_what_a_vendor_can_do(name: str) -> None:
    vendor = VENDORS[name]
    address = f"`{vendor.base_url}`" if vendor.base_url else "none: only through a gateway named by `base_url`"
    assert _row(f"`{name}`", address, vendor) in GUIDE.read_text().splitlines()


def test_the_guide_says_what_a_server_of_one_s_own_can_do() -> None:
    assert _row("`openai` with a `base_url`", "yours", OWN_SERVER) in GUIDE.read_text().splitlines()


@pytest.mark.parametrize(
    ("urls", "own"),
    [
        ([], False),
        (["https://api.openai.com/v1"], False),
        (["https://eu.api.openai.com/v1"], False),
        (["http://localhost:8000/v1"], True),
    ],
)
def test_openai_at_another_address_is_somebody_s_own_server(urls: list[str], own: bool) -> None:
    assert (vendor_of("openai", urls) is OWN_SERVER) == own
