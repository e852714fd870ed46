"""Which place a request for documents means."""

from __future__ import annotations

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.rag.places import place_of
from llmspell_protocol.areas.rag import RagPlace
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag.places import Place
from tests.support.recording_sink import RecordingSink


def placed(multi_tenant: bool = False, **fields: str) -> Place:
    caller = Caller(client="c", session="s", key_id="key-1")
    request = Request("1", "rag_request", {}, caller, RecordingSink())
    return place_of(request, RagPlace(**fields), multi_tenant=multi_tenant)


def test_a_place_is_of_the_askers_key() -> None:
    assert placed() == Place(owner="key-1", tenant="", collection="default")


def test_a_scope_with_its_id_and_a_collection_of_that_name_are_the_same_place() -> None:
    assert placed(scope="user", scope_id="ada") == placed(collection="user_ada")


def test_the_scope_global_is_no_scope() -> None:
    assert placed(scope="global") == placed()


def test_a_collection_within_a_scope_is_another_one_than_that_collection() -> None:
    assert placed(scope="user", scope_id="ada", collection="notes").collection == "user_ada/notes"
    assert placed(scope="user", scope_id="ada", collection="user_ada").collection == "user_ada"


def test_a_tenant_is_needed_where_there_are_tenants() -> None:
    with pytest.raises(InvalidRequest, match="a tenant is needed"):
        placed(multi_tenant=True)
    assert placed(multi_tenant=True, tenant="acme").tenant == "acme"


def test_the_scope_tenant_names_the_tenant_where_there_are_tenants() -> None:
    assert placed(multi_tenant=True, scope="tenant", scope_id="acme") == placed(
        multi_tenant=True, tenant="acme", collection="tenant_acme"
    )
    assert placed(scope="tenant", scope_id="acme").tenant == ""


@pytest.mark.parametrize("name", ["a\nb", " a", "x" * 201])
@pytest.mark.parametrize("field", ["tenant", "collection", "scope"])
def test_a_name_that_no_one_could_read_is_refused(field: str, name: str) -> None:
    with pytest.raises(InvalidRequest, match="printable characters"):
        placed(**{field: name})


def test_an_id_without_a_scope_says_nothing() -> None:
    with pytest.raises(InvalidRequest, match="scope_id needs a scope"):
        placed(scope_id="ada")
