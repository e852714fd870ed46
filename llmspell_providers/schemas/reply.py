"""Whether a finished reply fits its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmspell_protocol.errors import SchemaViolation
from llmspell_providers.schemas.refusals import refuse
from llmspell_providers.schemas.well_formed import draft, failure_text


def check_reply(text: str, schema: Mapping[str, Any], *, finish_reason: str) -> None:
    """Holds a finished reply against the whole schema, which `gate.admit` has let through.

    Raises:
        SchemaViolation: the text is not JSON, or JSON that does not fit; `details{text, at, finish_reason}`.
    """
    # jsonschema takes 60 ms to import, and only requests with a schema need it.
    from jsonschema.exceptions import best_match
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable

    details = {"text": text, "at": "", "finish_reason": finish_reason}
    try:
        # The registry fetches no `$ref` from anywhere.
        failure = best_match(draft(schema)(schema, registry=REGISTRY).iter_errors(json.loads(text)))
    except ValueError as error:
        cut = f" because the reply was cut ({finish_reason})" if finish_reason in ("length", "context_full") else ""
        raise SchemaViolation(
            f"the reply is not JSON{cut}: {error}", hint="raise max_tokens" if cut else None, details=details
        ) from error
    except Unresolvable as error:
        refuse("$ref", "", f"'{error.ref}' points at nothing")
    except RecursionError:
        raise SchemaViolation("the reply is nested too deeply to be checked", details=details) from None
    if failure is not None:
        place = "".join(f"/{part}" for part in failure.absolute_path)
        raise SchemaViolation(
            f"the reply does not fit the schema at '{place or '/'}': {failure_text(failure)}",
            details={**details, "at": place},
        )
