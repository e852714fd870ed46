#!/usr/bin/env bash
# The first five minutes with llmspell: pull a real model of 98 MB, start a kernel, let a script in another process
# talk to the model, look at what is loaded, stop. Leaves only .demo (its own LLMSPELL_HOME) in the clone.
set -euo pipefail
cd "$(dirname "$0")/.."
export LLMSPELL_HOME="$PWD/.demo"
unset LLMSPELL_CONFIG LLMSPELL_CONNECT
export LLMSPELL_CLI__AUTOSTART=never # no question at a terminal

step() {
  printf '\n$ %s\n' "llmspell $*"
  llmspell "$@"
}
stop() { llmspell kernel stop demo >/dev/null 2>&1 || true; }
trap stop EXIT

step model pull smollm2:135m
step kernel start --id demo --port 0 --daemon
step --connect demo run examples/chat.lua -- "Why is the sky blue?"
step --connect demo model status
step --connect demo model ps
step kernel stop demo
trap - EXIT
