"""email-sender: one message by the mail server of `[tools.email]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_protocol.errors import ConfigError, InvalidRequest, Timeout, Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, missing, parameter

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage

_PROVIDERS = {
    "sendgrid": "SendGrid's own interface is not spoken; its mail server smtp.sendgrid.net is",
    "ses": "the interface of Amazon SES is not spoken; its mail servers (email-smtp.REGION.amazonaws.com) are",
}
_MOST_RECIPIENTS = 100
_TLS_FROM_THE_START = 465
_TIME_SETTING = "tools.network.timeout_seconds"


class Parameters(ToolParameters):
    """What `email-sender` is called with."""

    to: list[str] = parameter("addresses: a list, or one text with commas", also=("recipients",))
    subject: str = parameter("the subject")
    body: str = parameter("the text", also=("text", "content", "message"))
    sender: str | None = parameter("the sender; left out: tools.email.from_address", None, also=("from",))
    html: bool = parameter("the body is HTML", False)
    cc: list[str] = parameter("addresses that get it too", [])
    bcc: list[str] = parameter("addresses that get it unseen by the others", [])
    reply_to: str | None = parameter("where answers go", None)
    provider: str = parameter("smtp, by the mail server of tools.email", "smtp")

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Addresses as a list or as a text with commas."""
        for name in ("to", "cc", "bcc"):
            if isinstance(given.get(name), str):
                given[name] = [one.strip() for one in given[name].split(",") if one.strip()]
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Hands the message to the mail server; it is sent when that has taken it for every address."""
    provider = wanted.provider.strip().lower()
    if provider in _PROVIDERS:
        raise Unsupported(f"provider '{provider}': {_PROVIDERS[provider]}", hint="set it as tools.email.smtp_host")
    if provider != "smtp":
        raise InvalidRequest(f"Unknown provider: {wanted.provider}; there are 'smtp', 'sendgrid', 'ses'")
    settings = call.tables["email"]
    if not settings.get("smtp_host"):
        raise ConfigError(
            "no mail server is set",
            hint="llmspell config set tools.email.smtp_host HOST",
            details={"setting": "tools.email.smtp_host"},
        )
    message, recipients = _message(wanted, settings)
    refused = _sent(message, recipients, settings, call)
    taken = [address for address in recipients if address not in refused]
    result: dict[str, Any] = {
        "status": "sent",
        "provider": "smtp",
        "from": str(message["From"]),
        "to": list(wanted.to),
        "subject": wanted.subject,
        "message_id": str(message["Message-ID"]),
    }
    if refused:
        result["refused"] = refused
    return Outcome(
        operation="send", result=result, output=result["message_id"], message=f"sent to {', '.join(taken)[:300]}"
    )


def _message(wanted: Parameters, settings: Mapping[str, Any]) -> tuple[EmailMessage, list[str]]:
    # Mail is all that needs it.
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import formatdate, make_msgid

    sender = wanted.sender or settings.get("from_address")
    if not sender:
        raise missing("from")
    recipients = [_address(one) for one in (*wanted.to, *wanted.cc, *wanted.bcc)]
    if not wanted.to:
        raise missing("to")
    if len(recipients) > _MOST_RECIPIENTS:
        raise InvalidRequest(
            f"a message goes to {_MOST_RECIPIENTS} addresses at most, and this one to {len(recipients)}"
        )
    message = EmailMessage(policy=SMTP)
    fields = {
        "From": sender,
        "To": ", ".join(wanted.to),
        "Cc": ", ".join(wanted.cc),
        "Reply-To": wanted.reply_to or "",
        "Subject": wanted.subject,
        "Date": formatdate(),
        "Message-ID": make_msgid(domain=_address(sender).rpartition("@")[2]),
    }
    for name, value in fields.items():
        if re.search(r"[\r\n\0]", value):
            raise InvalidRequest(f"'{name}' has a line end in it, which would begin another header")
        if value:
            message[name] = value
    message.set_content(wanted.body, subtype="html" if wanted.html else "plain")
    return message, recipients


def _address(text: str) -> str:
    """The bare address of `Name <name@example.com>`."""
    from email.utils import parseaddr

    address = parseaddr(text)[1]
    if not re.fullmatch(r"[^\s@<>\"(),:;]+@[^\s@<>\"(),:;]+", address):
        raise InvalidRequest(f"'{text[:200]}' is not an address of mail")
    return address


def _sent(message: EmailMessage, recipients: list[str], settings: Mapping[str, Any], call: Call) -> dict[str, str]:
    """The addresses that the server did not take, and why."""
    import smtplib
    import ssl

    host, port = str(settings["smtp_host"]), int(settings.get("smtp_port", 587))
    place = f"{host}:{port}"
    try:
        with _connected(host, port, settings, call) as server:
            if settings.get("smtp_username"):
                server.login(str(settings["smtp_username"]), str(settings.get("smtp_password") or ""))
            said = server.send_message(message, to_addrs=recipients)
    except smtplib.SMTPRecipientsRefused as error:
        raise ToolFailure(f"{place} took the message for no address: {_told(error.recipients)}") from None
    except smtplib.SMTPNotSupportedError as error:
        raise ToolFailure(f"{place} can't do what is needed: {error}", code="unsupported") from None
    except smtplib.SMTPAuthenticationError as error:
        raise ToolFailure(
            f"{place} does not accept tools.email.smtp_username and smtp_password: {_text(error)}"
        ) from None
    except smtplib.SMTPResponseException as error:
        raise ToolFailure(f"{place} refused the message: {error.smtp_code} {_text(error)}") from None
    except (smtplib.SMTPException, ssl.SSLError, OSError) as error:
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            details = {"setting": _TIME_SETTING}
            raise Timeout(f"{place} timed out", hint=f"raise {_TIME_SETTING}", details=details) from None
        raise ToolFailure(f"the mail could not be handed to {place}: {error}", code="unavailable") from None
    return {address: f"{code} {text.decode(errors='replace')}" for address, (code, text) in said.items()}


def _connected(host: str, port: int, settings: Mapping[str, Any], call: Call) -> smtplib.SMTP:
    import smtplib
    import ssl

    import httpx2

    limit_s = float(call.tables.get("network", {}).get("timeout_seconds", 30))
    encrypted = bool(settings.get("enable_tls", True))
    context: ssl.SSLContext = httpx2.create_ssl_context(verify=call.network.verifies)

    class Server(smtplib.SMTP):
        """Connects to a checked address; port 465 is encrypted from the start."""

        def _get_socket(self, host: str, port: int, timeout: float) -> Any:
            connection = call.network.connect(host, port, timeout)
            if not encrypted or port != _TLS_FROM_THE_START:
                return connection
            return context.wrap_socket(connection, server_hostname=host)

    # The name by which it introduces itself is no look-up of this machine's.
    server = Server(host, port, local_hostname="[127.0.0.1]", timeout=limit_s)
    if encrypted and port != _TLS_FROM_THE_START:
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _text(error: smtplib.SMTPResponseException) -> str:
    said = error.smtp_error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _told(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return "; ".join(
        f"{address}: {code} {text.decode(errors='replace')}" for address, (code, text) in list(refused.items())[:10]
    )


TOOL = Tool(
    name="email-sender",
    description="Sends a message by the mail server of tools.email.",
    category="api",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("net",),
    settings=("email", "network"),
    result="{status: sent, provider, from, to, subject, message_id, refused? {ADDRESS: why}}",
    keywords=("email", "mail", "smtp", "send", "message", "notify"),
)
