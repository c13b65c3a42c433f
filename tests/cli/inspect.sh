#!/usr/bin/env bash
# rapt inspect: rows, models and runs, as text and JSON; refusals.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
printf '%s\n' '{"prompt": "a", "chosen": "b", "score_chosen": 8.5}' '' '{"prompt": "c", "chosen": null, "score_chosen": 10}' >"$dir/d.jsonl"
"$RAPT" inspect "$dir/d.jsonl" >"$dir/o"
has "$dir/o" "rows: 2"; has "$dir/o" "mean: 9.25"; has "$dir/o" "8-9: 1, 9-10: 1"
"$RAPT" inspect "$dir/d.jsonl" --json >"$dir/o"
has "$dir/o" '"histogram": [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]'
printf '%s\n' '{"prompt": "a", "chosen": "b", "rejected": "c", "score_chosen": 8.5, "score_rejected": 9}' '{"loss": 1}' >"$dir/p.jsonl"
"$RAPT" inspect "$dir/p.jsonl" >"$dir/o"
has "$dir/o" "disagreeing: 1"; has "$dir/o" "rows_of_no_form: 1"; has "$dir/o" "first_of_no_form: line 2: "
"$RAPT" inspect "$tests/fuzz/corpus/gguf/v3.gguf" --tensors >"$dir/o"
has "$dir/o" "parameters: 512"; has "$dir/o" "t8: Q8_0 [32, 2]"
"$RAPT" inspect "$tests/fuzz/corpus/safetensors/good.safetensors" --json >"$dir/o"
has "$dir/o" '"parameters": 11, "tensors": 3, "tensor_bytes": 34, "types": {"F32": {"tensors": 1, "parameters": 6}'
"$RAPT" inspect "$tests/golden/gguf_types/types.gguf" --json >"$dir/o"
has "$dir/o" '"training_memory_mib": {"micro_batch_tokens": 1536, "lora_r16": null, "full_micro_batch_tokens": 1152, "full": null, "reason": "'; has "$dir/o" '"tokenizer_summary": null, "tokenizer_reason": "'
"$RAPT" inspect "$tests/golden/gguf_types/types.gguf" --micro-batch-tokens 2048 --json >"$dir/o"
has "$dir/o" '"training_memory_mib": {"micro_batch_tokens": 2048, "lora_r16": null'
if "$RAPT" inspect "$dir/p.jsonl" --micro-batch-tokens 2048 2>"$dir/e"; then exit 1; fi
has "$dir/e" "--micro-batch-tokens has no effect: $dir/p.jsonl is no whole model"
if "$RAPT" inspect "$tests/golden/gguf_types/types.gguf" --micro-batch-tokens -1 2>"$dir/e"; then exit 1; fi
has "$dir/e" "--micro-batch-tokens expects 0 (the default) to 4194304, not -1"
mkdir "$dir/m" "$dir/run"
cp "$tests/fuzz/corpus/safetensors/good.safetensors" "$dir/m/model.safetensors"
echo '{"model_type": "llama", "hidden_size": 64}' >"$dir/m/config.json"
echo '{"chat_template": "{{ \"\u001b\" }}"}' >"$dir/m/tokenizer_config.json"
"$RAPT" inspect "$dir/m" >"$dir/o"
has "$dir/o" 'model_type: "llama"'; has "$dir/o" 'chat_template_head: {{ \"\u001b\" }}'
echo '{"version": "1", "options": {"beta": 0.1}}' >"$dir/run/manifest.json"
echo '{"step": 1, "loss": 0.69}' >"$dir/run/metrics.jsonl"
"$RAPT" inspect "$dir/run" --json >"$dir/o"
has "$dir/o" '"last_metrics": {"step": 1, "loss": 0.69}'
for f in "$dir"/m "$dir"/run "$dir"/d.jsonl "$tests/fuzz/corpus/gguf/v2.gguf"; do # the output is JSON: it passes as a row
  "$RAPT" inspect "$f" --json --tensors >"$dir/again.jsonl"
  "$RAPT" inspect "$dir/again.jsonl" >/dev/null
done
echo '{"a": 1}x' >"$dir/bad.jsonl"
fails 1 "bad.jsonl:1: byte 9" "$RAPT" inspect "$dir/bad.jsonl"
head -c 100 "$tests/fuzz/corpus/gguf/v3.gguf" >"$dir/cut.gguf"
fails 1 "cut.gguf" "$RAPT" inspect "$dir/cut.gguf"
fails 2 "holds none of" "$RAPT" inspect "$dir"
fails 1 "config.xyz: cannot open" "$RAPT" inspect "$dir/m/config.xyz"
fails 2 "one PATH" "$RAPT" inspect
# one model as a folder and as a GGUF file: the same names for the same things
numbers() { "$RAPT" inspect "$1" --json | grep -oE '"(model_type|hidden_size|intermediate_size|num_hidden_layers|num_attention_heads|num_key_value_heads|vocab_size|max_position_embeddings|parameters)": ("[a-z]+"|[0-9]+)' | sort -u; }
numbers "$tests/golden/llama_tiny" >"$dir/folder"
numbers "$tests/golden/llama_tiny_gguf/model.gguf" >"$dir/file"
[ "$(wc -l <"$dir/file")" -ge 9 ]
diff "$dir/folder" "$dir/file"
