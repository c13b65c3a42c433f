#!/usr/bin/env bash
# rapt train --compat: refusals, the manifest, and that the rules reach the training (ids themselves: tests/unit/test_compat.c).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
model=$tests/golden/llama_tiny data=$tests/golden/trl/train.jsonl
train() { "$RAPT" train --model "$model" --train-data "$data" --dtype f32 --threads 1 --max-steps 2 "$@"; }
fails 2 'TRL 1.x has removed it and cuts by --max-length alone; it goes with --compat trl-0.24 or paper' train --output-dir "$dir/x" --max-prompt-length 5
fails 2 'max-completion-length: TRL 1.x has removed it' train --output-dir "$dir/x" --max-completion-length 5
fails 2 'max-completion-length has no effect with --compat paper' train --output-dir "$dir/x" --compat paper --max-completion-length 5
fails 2 'max-prompt-length must be above 0 and below --max-length (24), it is 512' train --output-dir "$dir/x" --compat paper --max-length 24
fails 2 'compat trl-0.24 needs a --max-length' train --output-dir "$dir/x" --compat trl-0.24 --max-length 0
fails 2 'compat has no effect with --objective sft' train --output-dir "$dir/x" --compat paper --objective sft
fails 2 'rapt logps makes tokens as TRL 1.x does' train --output-dir "$dir/x" --compat paper --ref-logps "$data"
train --output-dir "$dir/new" --max-length 24 2>/dev/null >/dev/null
train --output-dir "$dir/old" --max-length 24 --compat trl-0.24 --max-prompt-length 6 --max-completion-length 8 2>"$dir/err" >/dev/null
has "$dir/err" 'prompts lost their beginning, as --compat asks'
train --output-dir "$dir/paper" --max-length 24 --compat paper --max-prompt-length 6 2>/dev/null >/dev/null
for run in new old paper; do sed -n 's/.*"rows": //p' "$dir/$run/manifest.json" | sed 's/,$//' >"$dir/$run.rows"; done
grep -q '"dropped_too_long": [1-9].*"cut_prompt": 0,' "$dir/new.rows"
grep -q '"dropped_too_long": 0,.*"cut": [1-9].*"cut_prompt": [1-9]' "$dir/old.rows"
grep -q '"dropped_too_long": 0,.*"cut_prompt": [1-9]' "$dir/paper.rows"
has "$dir/paper/manifest.json" '"compat": "paper"'
has "$dir/paper/manifest.json" '"max-prompt-length": 6'
for run in old paper; do
  if cmp -s "$dir/new/adapter_model.safetensors" "$dir/$run/adapter_model.safetensors"; then echo "$run: trained as TRL 1.x"; exit 1; fi
done
