#!/usr/bin/env bash
# Makes every golden again and compares it with the stored one. Exits 77 (skipped) where the Python packages are missing.
# RAPT_GEMMA_MODEL: a GGUF of Gemma 3, whose quantised exports are measured too.
# RAPT_PYTHON: the interpreter, default python3. RAPT: the binary; set, transformers and peft also load what it writes. RAPT_MODEL: a GGUF
# whose log-probs are compared too. Arguments: only these scripts. --write: store what was made.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${RAPT_PYTHON:-python3}
write=0
if [ "${1:-}" = --write ]; then write=1; shift; fi
if ! "$python" -c 'import torch, transformers, peft, trl, gguf, safetensors' 2>/dev/null; then
  echo "skipped: $python lacks torch, transformers, peft, trl or gguf (set RAPT_PYTHON)"
  exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
scripts=("$@")
if [ ${#scripts[@]} = 0 ]; then
  for script in "$here"/make_*.py; do scripts+=("$(basename "$script")"); done
fi
for script in "${scripts[@]}"; do
  echo "$script"
  "$python" "$here/$script" "$dir" >"$dir.log" 2>&1 || { cat "$dir.log"; rm -f "$dir.log"; exit 1; }
  rm -f "$dir.log"
done
if [ $write = 1 ]; then
  for folder in "$dir"/*; do
    mkdir -p "$here/../golden/$(basename "$folder")"
    rm -f "$here/../golden/$(basename "$folder")"/*
    cp "$folder"/* "$here/../golden/$(basename "$folder")/"
  done
fi
"$python" "$here/compare.py" "$here/../golden" "$dir"
if [ -n "${RAPT:-}" ] && [ $# = 0 ]; then
  if [ -n "${RAPT_MODEL:-}" ] && "$RAPT" logps --help >/dev/null 2>&1; then "$python" "$here/check_model.py" "$RAPT" "$RAPT_MODEL"
  else echo "check_model.py skipped: RAPT_MODEL is not set"; fi
  if "$RAPT" train --help >/dev/null 2>&1 && "$RAPT" export --help >/dev/null 2>&1; then "$python" "$here/check_files.py" "$RAPT"
  else echo "check_files.py skipped: this build has no rapt train or export"; fi
  if "$python" -c 'import xllamacpp' 2>/dev/null; then "$python" "$here/check_gguf.py" "$RAPT" ${RAPT_MODEL:+"$RAPT_MODEL"}
  else echo "check_gguf.py skipped: $python lacks xllamacpp (llama.cpp)"; fi
  if "$RAPT" export --help >/dev/null 2>&1; then "$python" "$here/check_handover.py" "$RAPT"; "$python" "$here/check_bake.py" "$RAPT"; "$python" "$here/check_ollama.py" "$RAPT" || [ $? = 77 ]; fi
fi
