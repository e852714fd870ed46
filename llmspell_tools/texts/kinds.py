"""Whether a text is an email address, a URL, a telephone number, a UUID, a card number or a date, by its form alone."""

from __future__ import annotations

import re

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"(?!\.)(?:[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]|\.(?![.@])){{1,64}}@{_LABEL}(?:\.{_LABEL})+")
_PHONE = re.compile(r"\+?[0-9(][0-9 ().-]*[0-9]")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_CARD = re.compile(r"[0-9](?:[ -]?[0-9]){11,18}")


def is_email(text: str) -> bool:
    """Whether it is `name@domain.tld` (HTML's rule, with at least one dot in the domain)."""
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def is_url(text: str) -> bool:
    """Whether it is a URL of the web (`http`, `https`, `ftp`, `ws`, `wss`) with a host."""
    from urllib.parse import urlsplit

    if re.search(r"[\s<>\"\\^`{|}]", text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https", "ftp", "ws", "wss") and bool(parts.hostname)


def is_phone(text: str) -> bool:
    """Whether it is a telephone number: 7 to 15 digits (E.164), with spaces, dots, dashes and brackets between."""
    return _PHONE.fullmatch(text) is not None and 7 <= sum(one.isdigit() for one in text) <= 15


def is_uuid(text: str) -> bool:
    """Whether it is a UUID with dashes."""
    return _UUID.fullmatch(text) is not None


def is_credit_card(text: str) -> bool:
    """Whether it is a card's number: 12 to 19 digits, the last of which is right (ISO/IEC 7812, Luhn)."""
    if _CARD.fullmatch(text) is None:
        return False
    digits = [int(one) for one in reversed(text) if one.isdigit()]
    doubled = [sum(divmod(2 * one, 10)) for one in digits[1::2]]
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0


def is_date(text: str, form: str | None = None) -> bool:
    """Whether it is a date in a form of `strptime`, without one in ISO 8601."""
    from datetime import datetime

    try:
        if form is None:
            datetime.fromisoformat(text)
        else:
            datetime.strptime(text, form)
    except ValueError:
        return False
    return True
