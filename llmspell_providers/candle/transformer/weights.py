"""From a model's directory to a model that computes: kind, number format, weights, tokenizer. Loads nothing foreign.

Only safetensors, only classes that transformers brings, only files of the directory: no code of a repository is ever
run, and nothing is fetched.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from llmspell_protocol.errors import ConfigError, ModelLoadFailed, OutOfMemory, Unsupported
from llmspell_providers.library.architectures import RELATIVE, T5

Kind = Literal["seq2seq", "causal", "encoder", "ranker"]

_SHOWN = 5
_REFUSALS = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError),
    *(SafetensorError, StrictDataclassError),
)
"""What transformers raises for files that it cannot make a model of; it has no class of its own for this."""
_NO_MEMORY = ("out of memory", "can't allocate memory")
_NO_CUSTOM_CODE = "choose a model whose architecture transformers itself has (its config.json has no auto_map)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A loaded model; `device` is ours (`cpu`, `cuda:N`, `metal`), `warnings` are for a person.

    `own_stops` are the texts that end every reply of this checkpoint.
    """

    model: Any
    tokenizer: Any
    kind: Kind
    device: str
    warnings: Sequence[str] = ()
    own_stops: Sequence[str] = ()

    @property
    def torch_device(self) -> str:
        """The device's name in PyTorch."""
        return _torch_device(self.device)

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end a reply: the generation's, and the tokenizer's own."""
        named = self.model.generation_config.eos_token_id
        listed = named if isinstance(named, list) else [named]
        return frozenset(token for token in (*listed, self.tokenizer.eos_token_id) if token is not None)

    @property
    def has_relative_positions(self) -> bool:
        """Whether its decoder sees only distances between tokens, so that a row may begin anywhere."""
        return self.model.config.model_type in RELATIVE

    def takes(self, name: str) -> bool:
        """Whether the model's forward pass has a parameter of this name."""
        return name in inspect.signature(self.model.forward).parameters


def found_devices() -> list[str]:
    """The accelerators that PyTorch can use here, by our names."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [f"cuda:{index}" for index in range(cards)] + (["metal"] if torch.backends.mps.is_available() else [])


def load_weights(directory: Path, *, name: str, device: str, can_chat: bool, kind: Kind | None = None) -> Weights:
    """Loads the model in `directory` onto `device`; `can_chat` says what its files say that it is for.

    `name` is what people call it; `kind` is known where the files leave no choice.

    Raises:
        Unsupported: transformers does not have the architecture, or it makes neither text nor embeddings.
        ModelLoadFailed: files are missing or damaged, or do not fit each other.
        OutOfMemory: the device has not enough memory.
        ConfigError: the device lacks an operation of the model.
    """
    # Its advice about lengths and its bars are for a person at a prompt; what matters is an error here, or a warning.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = _config(directory, name)
    kind = kind or _kind(config, can_chat=can_chat)
    model, warnings = _model(directory, name, config, kind, device)
    own = getattr(model, "generation_config", None)  # an encoder has none
    own_stops: Sequence[str] = ()
    if own is not None:
        # Looked for row by row, as those of a request are; `generate` would end a whole batch by them.
        stops, own.stop_strings = own.stop_strings or (), None
        own_stops = (stops,) if isinstance(stops, str) else tuple(stops)
        # Both are decided anew for every request; a checkpoint's own would contradict it.
        own.max_length = own.cache_implementation = None
    tokenizer = _tokenizer(directory, name)
    weights = Weights(
        model=model, tokenizer=tokenizer, kind=kind, device=device, warnings=warnings, own_stops=own_stops
    )
    if device == "metal":
        _try_operations(weights)
    return weights


def _torch_device(device: str) -> str:
    return "mps" if device == "metal" else device


def _refuse(name: str, why: str, error: Exception | None = None) -> NoReturn:
    raise ModelLoadFailed(
        f"the model {name} {why}",
        hint="llmspell model verify --all tells whether its files are whole; else pull it again with --force",
    ) from error


def _config(directory: Path, name: str) -> Any:
    described = _json(directory / "config.json", name)
    kind = described.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        raise Unsupported(
            f"the architecture '{kind}' needs code of the model's repository, which is never run"
            if "auto_map" in described
            else f"transformers {transformers.__version__} has no architecture '{kind}'",
            hint=_NO_CUSTOM_CODE if "auto_map" in described else "pip install -U transformers, or choose another model",
            details={"model_type": kind},
        )
    try:
        return transformers.AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except _REFUSALS as error:
        _refuse(name, f"has a config.json that transformers cannot use: {error}", error)


def _json(path: Path, name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        _refuse(name, f"has no {path.name} that can be read: {error}", error)
    return value if isinstance(value, dict) else {}


def _kind(config: Any, *, can_chat: bool) -> Kind:
    """Many encoders could be loaded as causal models too, and the other way round, but were not trained so."""
    if can_chat and type(config) in transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
        return "seq2seq"
    if can_chat and type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return "causal"
    if not can_chat and (_is_text_encoder(config) or type(config) in transformers.MODEL_MAPPING):
        return "encoder"
    raise Unsupported(
        f"transformers has no class for the architecture '{config.model_type}' that "
        + ("writes text" if can_chat else "makes embeddings"),
        hint="choose a causal, a sequence-to-sequence or a sentence-embedding model",
        details={"model_type": config.model_type},
    )


def _is_text_encoder(config: Any) -> bool:
    return type(config) in transformers.MODEL_FOR_TEXT_ENCODING_MAPPING


def computed_dtype(config: Any, device: str) -> Any:
    """The format of the numbers that a checkpoint is computed in on `device`; "auto" is that of its weights.

    A processor computes in float32: few have units for the 16-bit formats, and without them each product is converted
    back and forth. An accelerator has the checkpoint's own, but for T5 in float16, which overflows in its feed-forward
    layers (https://github.com/huggingface/transformers/issues/9295) and was trained in bfloat16
    (https://github.com/google-research/text-to-text-transfer-transformer/issues/539): it gets that.
    """
    if device == "cpu":
        return torch.float32
    if config.dtype == torch.float16 and config.model_type in T5:
        return torch.bfloat16
    return config.dtype or "auto"


def _model(directory: Path, name: str, config: Any, kind: Kind, device: str) -> tuple[Any, list[str]]:
    classes = {
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
        "causal": transformers.AutoModelForCausalLM,
        "ranker": transformers.AutoModelForSequenceClassification,
        "encoder": transformers.AutoModelForTextEncoding if _is_text_encoder(config) else transformers.AutoModel,
    }
    try:
        model, report = classes[kind].from_pretrained(
            directory,
            config=config,
            dtype=computed_dtype(config, device),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            # Told below, by name; transformers itself refers to a report that it has printed.
            ignore_mismatched_sizes=True,
        )
        model = model.to(_torch_device(device)).eval()
    except _REFUSALS as error:
        if isinstance(error, torch.OutOfMemoryError) or any(word in str(error).lower() for word in _NO_MEMORY):
            raise OutOfMemory(
                f"{device} has not enough memory for {name}",
                hint="unload another model (llmspell model ps)",
                details={"log": [str(error)]},
            ) from error
        _refuse(name, f"cannot be loaded: {error}", error)
    missing = [weight for weight in sorted(report["missing_keys"]) if not _is_optional(kind, weight)]
    if missing or report["mismatched_keys"]:
        wrong = missing or sorted(str(entry[0]) for entry in report["mismatched_keys"])
        what = "lacks weights" if missing else "has weights of the wrong shape"
        _refuse(name, f"{what}: {_listed(wrong)}")
    unused = sorted(report["unexpected_keys"])
    if not unused:
        return model, []
    return model, [f"the model does not use {len(unused)} of its weights: {_listed(unused)}"]


def _is_optional(kind: Kind, name: str) -> bool:
    """The layer over an encoder's first token; sentence encoders are often saved without it, and pool by themselves."""
    return kind == "encoder" and name.startswith("pooler.")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _tokenizer(directory: Path, name: str) -> Any:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except _REFUSALS as error:
        _refuse(name, f"has no tokenizer that can be loaded: {error}", error)
    # Without its files some classes make an empty vocabulary of their own.
    names = set(tokenizer.vocab_files_names.values())
    if not any((directory / one).is_file() for one in names):
        _refuse(name, f"has no tokenizer: none of {', '.join(sorted(names))} is there")
    if not tokenizer.is_fast:
        _refuse(name, f"has a tokenizer ({type(tokenizer).__name__}) that has no tokenizer.json")
    return tokenizer


def _try_operations(weights: Weights) -> None:
    """One token, to find out now whether the device lacks an operation."""
    ids = torch.zeros((1, 1), dtype=torch.long, device=weights.torch_device)
    try:
        with torch.inference_mode():
            if weights.kind in ("encoder", "ranker"):
                weights.model(input_ids=ids)
            else:
                weights.model.generate(ids, max_new_tokens=1)
    except NotImplementedError as error:
        raise ConfigError(
            f"{weights.device} lacks an operation of this model: {error}",
            hint='set providers.candle.device = "cpu"',
            details={"key": "providers.candle.device"},
        ) from error
