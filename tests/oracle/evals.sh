#!/usr/bin/env bash
# Makes the goldens of the benchmark evaluations again with the packages they come from, and compares: lm-eval 0.4.13, alpaca_eval 0.6.6, fschat 0.2.36. These
# packages need a Python of their own: RAPT_EVAL_PYTHON, and RAPT_JUDGE_PYTHON where alpaca_eval and fschat lie in another. Exits 77 (skipped) without.
# --write: store what was made.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${RAPT_EVAL_PYTHON:-} judges=${RAPT_JUDGE_PYTHON:-${RAPT_EVAL_PYTHON:-}}
has() { [ -n "$1" ] && "$1" -c "$2" 2>/dev/null; }
if ! has "$python" 'import lm_eval, accelerate' || ! has "$judges" 'import alpaca_eval, importlib.metadata; importlib.metadata.version("fschat")'; then
  echo "skipped: set RAPT_EVAL_PYTHON to a Python with lm-eval and accelerate, and with alpaca_eval (setuptools below 80) and fschat (--no-deps), or RAPT_JUDGE_PYTHON to one with these"
  exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for script in eval_harness eval_gsm8k eval_alpaca eval_judge_alpaca eval_judge_mt eval_mt_bench; do
  interpreter=$judges
  case $script in eval_harness | eval_gsm8k) interpreter=$python ;; esac
  "$interpreter" "$here/$script.py" "$dir" "$here/../golden/score_chat" >"$dir.log" 2>&1 || { cat "$dir.log"; rm -f "$dir.log"; exit 1; }
  rm -f "$dir.log"
done
if [ -n "${RAPT_ARENA_HARD:-}" ]; then
  for script in eval_arena eval_judge_arena; do "$python" "$here/$script.py" "$dir" "$RAPT_ARENA_HARD"; done
else echo "eval_arena.py, eval_judge_arena.py skipped: RAPT_ARENA_HARD, a git directory of lmarena/arena-hard-auto, is not set"; fi
if [ "${1:-}" = --write ]; then
  for folder in "$dir"/*; do
    mkdir -p "$here/../golden/$(basename "$folder")"
    cp "$folder"/* "$here/../golden/$(basename "$folder")/"
  done
fi
"$python" "$here/compare.py" "$here/../golden" "$dir"
