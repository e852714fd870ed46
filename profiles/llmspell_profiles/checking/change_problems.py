"""Whether a change of a file may be written: what is wrong after it, beside what was wrong before.

Loaded only where a file would be wrong, since it looks for every problem of both.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmspell_profiles.checking.validation import errors_of
from llmspell_profiles.loading.toml_source import TomlSource, read_toml
from llmspell_profiles.problems import Remark
from llmspell_protocol.errors import ConfigError

_NOTHING = "nothing was written"


def still_wrong(
    found: ConfigError, before: str, after: str, *, file: Path, env: Mapping[str, str], cwd: Path
) -> tuple[str, ...]:
    """The problems that a change leaves, as sentences, where it mends one and adds none.

    `found` is what a run would say of the file after the change; `before` and `after` are its texts.

    Raises:
        ConfigError: the change adds a problem, which is told by its key and value; or the file was wrong and the change
            mends nothing in it.
    """
    old = _problems(before, file, env, cwd)
    new = _problems(after, file, env, cwd)
    known = {_identity(each) for each in old}
    added = [each for each in new if _identity(each) not in known]
    if added:
        raise _refused(added)
    if len(new) < len(old):
        return tuple(each.sentence for each in new)
    raise ConfigError(found.message, hint=found.hint or _NOTHING, details=found.details)


def _problems(text: str, file: Path, env: Mapping[str, str], cwd: Path) -> Sequence[Remark]:
    def read(path: Path, name: str) -> TomlSource:
        return TomlSource(name, text, tomllib.loads(text)) if path == file else read_toml(path, name)

    return errors_of(config=file, env=env, cwd=cwd, read=read)


def _identity(problem: Remark) -> tuple[object, str]:
    return problem.details.get("key"), problem.text  # lines move


def _refused(added: Sequence[Remark]) -> ConfigError:
    """The error for a value that can't be: it stands in no line of a file, so its key is named."""
    keys = [str(each.details.get("key") or each.place) for each in added]
    texts = [re.sub(r"\bgot the (string|integer|number) ", "got ", each.text) for each in added]
    said = "; ".join(f"{key}: {text}" if key else text for key, text in zip(keys, texts, strict=True))
    details = {name: value for name, value in added[0].details.items() if name in ("key", "file")}
    hint = next((each.hint for each in added if each.hint), None)
    return ConfigError(f"{said}; {_NOTHING}", hint=hint, details=details)
