#!/usr/bin/env bash
# The recipe of ./quickstart from its first stage to its report, on a tiny random model and few rows; kept, stopped and gone on with.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
root=$(dirname "$tests")
"$root/quickstart" --help | seen -- '--build'
for script in "$root"/quickstart "$root"/check "$root"/tools/*.sh; do bash -n "$script"; done
model=$dir/model
cp -r "$root/tests/golden/llama_tiny" "$model"
sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 2048/' "$model/config.json"
cat >"$model/chat_template.jinja" <<'J'
{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}
J
head -24 "$root/examples/preferences.jsonl" >"$dir/data.jsonl"
export RAPT_MODEL=$model OMP_NUM_THREADS=1
cd "$root"
quick() { # folder, further options...
  local folder=$1
  shift
  "$RAPT" run examples/quickstart.yaml --set "output=$folder,data=$dir/data.jsonl,steps=6,rate=1e-3" "$@"
}
quick "$dir/a" --dry-run >"$dir/lines"
stages=$(grep -c '^rapt ' "$dir/lines")
quick "$dir/a" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
grep -q "$stages stages run, 0 kept" "$dir/err"
grep -q "The adapter is in $dir/a/goal, the report is $dir/a/report.html" "$dir/err"
for f in goal/adapter_model.safetensors goal/goal.json plain/adapter_model.safetensors goal/metrics.jsonl eval/goal-accuracy.json \
  eval/unlearning.json report.html; do [ -s "$dir/a/$f" ]; done
# samples at the three goals, each prompt under each
[ "$(wc -l <"$dir/a/goal/samples.jsonl")" = $((3 * $(wc -l <examples/prompts.jsonl))) ]
quick "$dir/a" 2>"$dir/err"
grep -q "0 stages run, $stages kept" "$dir/err" || { cat "$dir/err"; exit 1; }
# stopped while it trains: the same command goes on, and the adapter is the one of an undisturbed run
long() { # folder, further options...
  local folder=$1
  shift
  exec "$RAPT" run examples/quickstart.yaml --set "output=$folder,data=$dir/data.jsonl,steps=60,rate=1e-3" "$@"
}
for stage in augment augment-sft sft train; do (long "$dir/c" --only $stage) 2>/dev/null; done
long "$dir/b" 2>"$dir/b.err" &
pid=$!
for _ in $(seq 600); do
  if [ -s "$dir/b/goal/metrics.jsonl" ] && [ "$(wc -l <"$dir/b/goal/metrics.jsonl")" -ge 5 ]; then break; fi
  sleep 0.05
done
kill -INT $pid
code=0
wait $pid || code=$?
[ "$code" = 1 ] || { echo "exit $code"; cat "$dir/b.err"; exit 1; }
grep -q 'the same rapt run goes on from there' "$dir/b.err"
[ ! -e "$dir/b/goal/adapter_model.safetensors" ]
(long "$dir/b" --only train) 2>"$dir/b.err"
grep -q 'resuming from' "$dir/b.err" || { cat "$dir/b.err"; exit 1; }
cmp "$dir/b/goal/adapter_model.safetensors" "$dir/c/goal/adapter_model.safetensors"
# other settings in the same folder start over; without the recipe's memory of the folder its checkpoints are not touched
(long "$dir/b" --set seed=1 --only train) 2>/dev/null && { echo "a variable that the recipe does not have"; exit 1; }
"$RAPT" run examples/quickstart.yaml --set "output=$dir/b,data=$dir/data.jsonl,steps=20,rate=1e-3" --only train 2>"$dir/b.err" || { cat "$dir/b.err"; exit 1; }
[ -e "$dir/b/goal/checkpoint-16" ]
[ ! -e "$dir/b/goal/checkpoint-48" ]
rm "$dir/b/recipe-state.json"
code=0
(long "$dir/b" --only train) 2>"$dir/b.err" || code=$?
[ "$code" = 1 ] || [ "$code" = 2 ]
grep -q 'checkpoints of an earlier run' "$dir/b.err" || { cat "$dir/b.err"; exit 1; }
(long "$dir/b" --only train --force) 2>"$dir/b.err" || { cat "$dir/b.err"; exit 1; }
cmp "$dir/b/goal/adapter_model.safetensors" "$dir/c/goal/adapter_model.safetensors"
