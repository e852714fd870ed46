"""The baseline of the T5 rows: transformers' own `generate`, in one process with nothing of ours around it.

As a module it is that process (`python -m benchmarks.plain_transformers DIRECTORY THREADS`): it loads the model, says
so with a line, and answers each further line of its input, a prompt and a number of tokens, with a line of seconds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.line_process import LineProcess


class PlainTransformers:
    """A running baseline process with a loaded model."""

    def __init__(self, directory: Path, threads: int) -> None:
        self._process = LineProcess("benchmarks.plain_transformers", [str(directory), str(threads)])
        self._process.read()

    def generate_s(self, prompt: str, tokens: int) -> float:
        """Seconds for so many tokens after a prompt, from its text to theirs."""
        self._process.write([prompt, tokens])
        return float(self._process.read())

    def close(self) -> None:
        """Ends the process."""
        self._process.close()


def main(directory: Path, threads: int) -> None:
    """The process."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSeq2SeqLM.from_pretrained(directory).eval()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        prompt, tokens = json.loads(line)
        began = time.monotonic()
        inputs = tokenizer([prompt], return_tensors="pt")
        # num_beams 1, no sampling: the model's own defaults.
        reply = model.generate(**inputs, max_new_tokens=tokens)
        tokenizer.batch_decode(reply, skip_special_tokens=True)
        seconds = time.monotonic() - began
        written = reply.shape[1] - 1
        if written != tokens:
            raise SystemExit(f"{written} tokens came in place of {tokens}")
        print(seconds, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
