"""Checks of what is asked over a network: Ollama, and the hub that models are pulled from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shutil import which

from llmspell_cli.doctor.finding import Finding, ok, skip, warn
from llmspell_cli.doctor.subject import Answers
from llmspell_protocol.addresses import BadAddress, parse_address
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.plain_reasons import plain_reason
from llmspell_protocol.proxies import proxy_for

HUB = "https://huggingface.co"
_USUAL = "http://localhost:11434"
_SWITCH_OFF = "llmspell config set providers.ollama.enabled false"
HUB_DEADLINE_S = 5.0


def ollama(answers: Answers, names: Sequence[str], env: Mapping[str, str]) -> Finding:
    """Whether the Ollama daemon answers; `names` are the configured providers of this type."""
    if not names:
        return skip("switched off, or not in this profile", "llmspell config set providers.ollama.enabled true")
    health = answers.backends.get(names[0])
    if health is None:
        return skip("not asked, since it is on another machine (--offline)")
    url = health.get("base_url")
    details = {key: health.get(key) for key in ("base_url", "version", "latency_ms", "available_models", "reason")}
    if not health["running"]:
        if which("ollama", path=env.get("PATH")) is None and url == _USUAL:
            return skip("not on this machine, which is fine: llmspell runs models itself", _SWITCH_OFF, **details)
        hint = f"ollama serve, or llmspell model install-ollama; without it: {_SWITCH_OFF}"
        return warn(f"no answer from {url} ({health.get('reason') or 'no reason given'})", hint, **details)
    count = health.get("available_models") or 0
    return ok(f"{health.get('version') or 'running'} at {url}, {count} model{'' if count == 1 else 's'}", **details)


def servers(answers: Answers, names: Sequence[str]) -> Finding:
    """Whether the configured vendors and compatible servers answer, have their package, and have a key."""
    if not names:
        return skip("none is configured")
    healths = {name: answers.backends.get(name) for name in names}
    told = {name: health for name, health in healths.items() if health is not None}
    down = {name: health.get("reason") or "no reason given" for name, health in told.items() if not health["running"]}
    away = [f"{name} not asked (--offline)" for name in names if name not in told]
    well = [f"{name} answers" for name in told if name not in down]
    details = {"servers": {name: None if health is None else dict(health) for name, health in healths.items()}}
    if down:
        text = "; ".join([*(f"{name}: {reason}" for name, reason in down.items()), *well, *away])
        return warn(text, _mending(*next(iter(down.items()))), **details)
    return ok("; ".join([*well, *away]), **details) if well else skip("; ".join(away))


def _mending(name: str, reason: str) -> str:
    """What puts right why a server can't be used."""
    if "credentials" in reason or "key" in reason:
        return f"llmspell keys add {name}"
    _, _, install = reason.partition("which is not installed: ")
    if install:
        return install
    return f"llmspell config set providers.{name}.base_url URL, or providers.{name}.enabled false"


def hub(env: Mapping[str, str], *, offline: bool) -> Finding:
    """Whether models can be pulled from the hub, or from the mirror that HF_ENDPOINT names."""
    if offline:
        return skip("not asked (--offline)")
    if env.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true"):
        return skip("not asked (HF_HUB_OFFLINE is set)")
    url = (env.get("HF_ENDPOINT") or HUB).strip()
    try:
        address = parse_address(url)
        proxy = proxy_for(address)
    except BadAddress as error:
        return _unreachable("HF_ENDPOINT", f"it is not the address of a hub: {error}")
    except ConfigError as error:
        return _unreachable(address.url, error.message, error.hint or "")
    url = address.url
    # 60 ms, not needed offline.
    import httpx2

    try:
        certificates = httpx2.create_ssl_context(trust_env=True)
        through = None if proxy is None else httpx2.Proxy(proxy.url, auth=proxy.login)
        with httpx2.Client(proxy=through, trust_env=False, verify=certificates) as client:
            response = client.head(url, timeout=HUB_DEADLINE_S, follow_redirects=True)
    except httpx2.TimeoutException:
        return _unreachable(url, f"no answer within {HUB_DEADLINE_S:g} s")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        return _unreachable(url, plain_reason(str(error)) or type(error).__name__)
    if response.status_code >= 500:
        return _unreachable(url, f"it answers with status {response.status_code}")
    latency_ms = response.elapsed.total_seconds() * 1000
    return ok(f"{url} answers in {latency_ms:.0f} ms", url=url, latency_ms=round(latency_ms, 1))


def _unreachable(url: str, reason: str, hint: str = "") -> Finding:
    hint = hint or "installed models work; for pulls look at HTTPS_PROXY, or name a mirror in HF_ENDPOINT"
    return warn(f"{url} can't be reached ({reason})", hint, url=url, reason=reason)
