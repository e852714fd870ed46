#!/bin/sh
# A question about the documents of a directory, at the shell: takes in what is new, then lets a model answer.
#   examples/ask_docs.sh docs How do I start a kernel?
set -eu
directory=$1
shift
llmspell rag ingest "$directory" --collection "$directory" --include '*.md' --include '*.txt'
llmspell rag ask "$*" --collection "$directory" -k 4 --max-tokens 200 --temperature 0
