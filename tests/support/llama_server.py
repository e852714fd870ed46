"""A llama-server for tests: llama.cpp's own HTTP server, as xllamacpp carries it, behind the flags of llama-server.

    python -m tests.support.llama_server --model MODEL.gguf --host /path/x.sock …

`launcher` makes the executable file; `stand_in` makes one that answers for itself before the real one does.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSION = "version: 11549 (test)"
_SWITCHES = ("--no-webui", "--jinja", "--embeddings", "--no-kv-unified", "--no-context-shift", "--slots", "--offline")
_VALUES = (
    *("--model", "--alias", "--host", "--api-key-file", "--parallel", "--ctx-size", "--batch-size", "--ubatch-size"),
    *("--threads", "--threads-batch", "--n-gpu-layers", "--device", "--slot-prompt-similarity", "--cache-ram"),
    *("--pooling", "--flash-attn", "--fit", "--spec-type"),
    *("--spec-ngram-simple-size-n", "--spec-ngram-simple-size-m", "--slot-save-path", "--ctx-checkpoints"),
)


def launcher(directory: Path) -> Path:
    """An executable llama-server."""
    return stand_in(directory, "")


def stand_in(directory: Path, script: str) -> Path:
    """An executable llama-server that runs lines of sh first; `$1` is the first argument."""
    path = directory / "llama-server"
    path.write_text(
        f"#!/bin/sh\n{script}\ncd '{ROOT}' && PYTHONPATH='{os.pathsep.join(sys.path)}' "
        f"exec '{sys.executable}' -m tests.support.llama_server \"$@\"\n"
    )
    path.chmod(0o755)
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--list-devices", action="store_true")
    parser.add_argument("--log-verbosity", type=int, default=3, help="1: error")
    for name in _SWITCHES:
        parser.add_argument(name, action="store_true")
    for name in _VALUES:
        parser.add_argument(name)
    return parser


def _serve(arguments: argparse.Namespace) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.model
    parameters.model_alias = {arguments.alias}
    parameters.hostnames = [arguments.host]
    parameters.api_keys = Path(arguments.api_key_file).read_text().split()
    parameters.ui = not arguments.no_webui
    parameters.verbosity = arguments.log_verbosity
    parameters.n_parallel = int(arguments.parallel)
    parameters.n_ctx = int(arguments.ctx_size)
    parameters.fit_params = arguments.fit == "on"
    parameters.n_batch, parameters.n_ubatch = int(arguments.batch_size), int(arguments.ubatch_size)
    parameters.cpuparams.n_threads = int(arguments.threads)
    parameters.cpuparams_batch.n_threads = int(arguments.threads_batch)
    parameters.slot_prompt_similarity = float(arguments.slot_prompt_similarity)
    parameters.cache_ram_mib = int(arguments.cache_ram)
    parameters.slot_save_path = arguments.slot_save_path or ""
    parameters.n_ctx_checkpoints = int(arguments.ctx_checkpoints or parameters.n_ctx_checkpoints)
    parameters.n_gpu_layers = int(arguments.n_gpu_layers)
    parameters.embedding = arguments.embeddings
    if arguments.pooling == "mean":
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    elif arguments.pooling == "rank":
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
    parameters.use_jinja = arguments.jinja
    if arguments.spec_type == "ngram-simple":
        parameters.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        parameters.speculative.ngram_simple.size_n = int(arguments.spec_ngram_simple_size_n)
        parameters.speculative.ngram_simple.size_m = int(arguments.spec_ngram_simple_size_m)
    server = xllamacpp.Server(parameters)
    threading.Event().wait()
    del server


def _main() -> None:
    arguments = _parser().parse_args()
    if arguments.version:
        print(VERSION, file=sys.stderr)
    elif arguments.list_devices:
        print("Available devices:")
    else:
        _serve(arguments)


if __name__ == "__main__":
    _main()
