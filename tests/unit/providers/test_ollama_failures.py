"""What an Ollama server says, and the error that it means: the words of its source, its runners and its registry."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ChecksumMismatch,
    ContextLengthExceeded,
    DiskFull,
    DownloadError,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    ModelError,
    ModelLoadFailed,
    ModelNotFound,
    OutOfMemory,
    RateLimited,
    SchemaUnsupported,
    SourceUnavailable,
    Timeout,
    Unauthorized,
    Unsupported,
    WorkerCrashed,
)
from llmspell_providers.ollama.failures import is_foreign, pull_error, request_error

STOPPED = "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check"
SAID: dict[type[LlmspellError], list[str]] = {
    WorkerCrashed: [
        f"{STOPPED} ollama server logs for details",
        "an error was encountered while running the model: unexpected EOF",
        "llama runner process has terminated: exit status 2",
        "llama runner process has terminated with exit code 139",
        "llama-server process has terminated: signal: killed",
        "llama runner process no longer running: -1 ",
        'Post "http://127.0.0.1:41234/completion": EOF',
        "do load request: Post http://127.0.0.1:1/load: read tcp: connection reset by peer",
        "llama runner process has terminated: CUDA error: an illegal memory access was encountered",
        "llama runner process has terminated: GGML_ASSERT(false) failed",
        "wsarecv: An existing connection was forcibly closed by the remote host.",
    ],
    OutOfMemory: [
        "model requires more system memory (5.6 GiB) than is available (3.1 GiB)",
        "model requires more system memory than is currently available unable to load full model on GPU",
        f"{STOPPED} ollama server logs for details: CUDA error: out of memory",
        "llama runner process has terminated: cudaMalloc failed: out of memory",
        "llama-server reported out-of-memory during startup: ggml_backend_cuda: failed to allocate 5 GiB",
        "memory layout cannot be allocated with num_gpu = 99",
        "failed to commit memory for model",
    ],
    SchemaUnsupported: [
        'invalid format: "yaml"; expected "json" or a valid JSON Schema object',
        "invalid JSON schema in format",
        "failed to load model vocabulary required for format",
        "sample: failed to initialize grammar",
        "failed to parse grammar",
        "JSON schema conversion failed: Unrecognized schema: {}",
        "Failed to initialize samplers: failed to parse grammar",
    ],
    ContextLengthExceeded: [
        "the input length exceeds the context length",
        "input exceeds maximum context length and cannot be truncated further",
        "input after truncation exceeds maximum context length",
        "the prompt is longer than the context length currently available to the model; shorten the prompt",
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "unable to shift context - keep exceeds context (keep: 5 context: 4)",
        "prompt too long; exceeded max context length by 5 tokens",
        "input is too large to process. increase the physical batch size",
    ],
    ModelLoadFailed: [
        "unable to load model: /root/.ollama/models/blobs/sha256-x",
        "llama runner process has terminated: error loading model: unknown model architecture: 'nope'",
        "error loading model architecture: unknown model architecture: 'nope'",
        "unsupported model format",
        "invalid file magic",
        "'llama3.2-vision' is no longer compatible with your version of Ollama and has been replaced",
        "this model requires MLX support, but the MLX runtime is not available",
        "model failed to load, this may be due to resource limitations or an internal error, check ollama server logs",
        "llama-server binary not found (checked: /usr/lib/ollama/llama-server)",
    ],
    Unsupported: [
        "registry.ollama.ai/library/m does not support tools",
        '"m" does not support thinking',
        '"m" does not support chat',
        "m does not support insert",
        "this model does not support embeddings",
        "this model only supports one image while more than one image requested",
        "this model is missing data required for image input",
        "split vision models aren't supported",
        "received image but vision model not loaded",
        "image generation models are not currently supported",
        "image URLs are not currently supported, please use base64 encoded data instead",
        "this server cannot run this remote model",
    ],
    Busy: [
        "server busy, please try again.  maximum pending requests exceeded",
        "no slots available after 10 retries",
        "no available cache slots",
    ],
    InvalidRequest: [
        'option "temperature" must be of type float32',
        'time: invalid duration "soon"',
        "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
        "top_logprobs must be between 0 and 20",
        "invalid image input",
        "model is required",
        "system message cannot contain images",
    ],
    Timeout: ["timed out waiting for llama runner to start - progress 0.00 - "],
    Unauthorized: ["you are not currently signed in", "unauthorized: access denied"],
    Forbidden: ["ollama cloud is disabled: remote inference is unavailable"],
    ModelError: [
        'template: :1:2: executing "" at <.X>: can\'t evaluate field X',
        "error parsing tool call: raw='{', err=unexpected end of JSON input",
        "embedding contains NaN or Inf values",
        "sample: logits sum to NaN, check model output",
        "the sky fell",
    ],
}
WORDS = [(kind, said) for kind, each in SAID.items() for said in each]


@pytest.mark.parametrize("status", [500, -1])
@pytest.mark.parametrize(("kind", "said"), WORDS)
def test_words_tell_the_kind_whatever_the_status(kind: type[LlmspellError], said: str, status: int) -> None:
    error = request_error(said, status, model="m", backend="ollama")
    assert type(error) is kind, error
    if kind is not ContextLengthExceeded:
        assert said.split(" (")[0].split(",")[0].split('"')[0][:30] in error.message or "can't do" in error.message
    if kind in (WorkerCrashed, OutOfMemory, SchemaUnsupported, ModelLoadFailed):
        assert error.hint


@pytest.mark.parametrize("said", SAID[WorkerCrashed])
def test_a_runner_that_died_is_worth_another_try_and_one_without_memory_is_not(said: str) -> None:
    assert request_error(said, 500, model="m", backend="ollama").retryable
    assert not request_error(SAID[OutOfMemory][0], 500, model="m", backend="ollama").retryable


def test_how_much_memory_is_missing_is_told() -> None:
    details = request_error(SAID[OutOfMemory][0], 500, model="m", backend="ollama").details
    assert (details["needed"], details["available"]) == ("5.6 GiB", "3.1 GiB")


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, "anything at all", InvalidRequest),
        (400, "unexpected EOF", InvalidRequest),
        (400, "", InvalidRequest),
        (401, "unauthorized", Unauthorized),
        (402, "subscribe", Forbidden),
        (403, "", Forbidden),
        (404, "model 'm' not found", ModelNotFound),
        (404, 'model "m" not found, try pulling it first', ModelNotFound),
        (429, "you've reached your limit", Busy),
        (499, "request canceled", BackendUnavailable),
        (501, "this model does not support embeddings", Unsupported),
        (502, "dial tcp: lookup ollama.com: no such host", BackendUnavailable),
        (503, "", Busy),
        (504, "", BackendUnavailable),
        (500, "", ModelError),
        (-1, "model 'm' not found", ModelNotFound),
    ],
)
def test_a_status_tells_what_the_words_do_not(status: int, said: str, kind: type[LlmspellError]) -> None:
    assert type(request_error(said, status, model="m", backend="ollama")) is kind


@pytest.mark.parametrize(
    ("status", "said", "foreign"),
    [
        (404, "404 page not found", True),
        (404, "", True),
        (404, '{"detail":"Not Found"}', True),
        (404, "model 'm' not found", False),
        (405, "405 method not allowed", True),
        (304, "", True),
        (500, "404 page not found", False),
    ],
)
def test_a_server_that_lacks_the_page_is_another_one(status: int, said: str, foreign: bool) -> None:
    assert is_foreign(said, status) is foreign


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("pull model manifest: file does not exist", ModelNotFound),
        ('pull model manifest: 404: {"errors":[{"code":"MANIFEST_UNKNOWN"}]}', ModelNotFound),
        ("pull model manifest: 429: slow down", RateLimited),
        ("pull model manifest: 412: this model requires a newer version of Ollama", Unsupported),
        ('pull model manifest: 401: {"error":"Invalid username or password."}', Unauthorized),
        (
            'pull model manifest: Get "https://registry.ollama.ai/v2/": dial tcp: lookup x: no such host',
            SourceUnavailable,
        ),
        ("pull model manifest: Get https://r: net/http: TLS handshake timeout", SourceUnavailable),
        ("max retries exceeded: write /m/blobs/x: no space left on device", DiskFull),
        ("write /m/blobs/x: disk quota exceeded", DiskFull),
        ("open /m/blobs/x: permission denied", DownloadError),
        ("digest mismatch, file must be downloaded again: want a, got b", ChecksumMismatch),
        ("max retries exceeded: unexpected EOF", DownloadError),
        ("part stalled", DownloadError),
        ("insecure protocol http", InvalidRequest),
        ("invalid model name", InvalidRequest),
        ("the sky fell", DownloadError),
    ],
)
def test_words_tell_what_stopped_a_pull(said: str, kind: type[LlmspellError]) -> None:
    for status in (500, -1):
        assert type(pull_error(said, status, model="m", backend="ollama")) is kind
