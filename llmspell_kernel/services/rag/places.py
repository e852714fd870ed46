"""Which place a request means: owner, tenant and collection, from what its fields say."""

from __future__ import annotations

from llmspell_kernel.request import Request
from llmspell_protocol.areas.rag import RagPlace
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag.places import DEFAULT_COLLECTION, Place

LONGEST_NAME = 200
LONGEST_TTL_S = 100 * 365 * 86_400
_EVERYWHERE = "global"
"""The scope that is none."""
_TENANT = "tenant"


def place_of(request: Request, wanted: RagPlace, *, multi_tenant: bool) -> Place:
    """The place of the asker that the fields mean.

    Raises:
        InvalidRequest: a name can't be one, or the tenant is missing where there have to be tenants.
    """
    tenant = wanted.tenant
    if tenant is None and wanted.scope == _TENANT:
        tenant = wanted.scope_id if multi_tenant else None
    return Place(
        owner=request.caller.key_id,
        tenant=demand_tenant(tenant, multi_tenant=multi_tenant),
        collection=_collection(wanted),
    )


def demand_tenant(tenant: str | None, *, multi_tenant: bool) -> str:
    """The tenant's name; empty: none.

    Raises:
        InvalidRequest: it is missing where there have to be tenants, or can't be a name.
    """
    if tenant:
        return _name("tenant", tenant)
    if multi_tenant:
        raise InvalidRequest(
            "a tenant is needed: rag.multi_tenant is on",
            hint="name one: --tenant NAME, or tenant_id in a script",
            details={"setting": "rag.multi_tenant"},
        )
    return ""


def demand_ttl(ttl_s: float | None) -> None:
    """Raises `InvalidRequest` where nothing can live so long."""
    if ttl_s is not None and not 0 < ttl_s <= LONGEST_TTL_S:
        raise InvalidRequest("ttl_s must be a number of seconds above 0", details={"ttl_s": str(ttl_s)})


def _collection(wanted: RagPlace) -> str:
    scope = wanted.scope or None
    if scope == _EVERYWHERE and not wanted.scope_id:
        scope = None
    if scope is None:
        if wanted.scope_id:
            raise InvalidRequest("scope_id needs a scope", hint="name what it is of: user, session, project, …")
        return _name("collection", wanted.collection) if wanted.collection else DEFAULT_COLLECTION
    inside = f"{scope}_{wanted.scope_id}" if wanted.scope_id else scope
    if wanted.collection and wanted.collection != inside:
        inside = f"{inside}/{wanted.collection}"
    return _name("scope", inside)


def _name(what: str, name: str) -> str:
    if len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InvalidRequest(
            f"{what}: a name has 1 to {LONGEST_NAME} printable characters, and no space around it",
            details={what: name[:LONGEST_NAME]},
        )
    return name
