#!/usr/bin/env bash
# rapt serve: OpenAI's endpoints with goals against rapt generate and rapt logps, streams, several adapters, limits, what is refused, clients that go away, and the drain.
# tests/cli/serve.py has the cases.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
command -v curl >/dev/null || { echo "skipped: no curl"; exit 77; }
tiny=$tests/golden/score_chat
export OMP_NUM_THREADS=1
code=0
"$RAPT" serve --model "$tiny" --host nowhere.invalid >"$dir/out" 2>"$dir/err" || code=$?
if grep -q 'no HTTP server' "$dir/err"; then echo "skipped: built without libmicrohttpd"; exit 77; fi
[ "$code" = 2 ] && grep -q -- '--host nowhere.invalid' "$dir/err" || { cat "$dir/err"; exit 1; }
fails 2 'model is needed' "$RAPT" serve
fails 2 'port expects 0 to 65535' "$RAPT" serve --model "$tiny" --port 65536
fails 2 'max-queue expects 1 to' "$RAPT" serve --model "$tiny" --max-queue 0
fails 2 'timeout expects' "$RAPT" serve --model "$tiny" --timeout nan
fails 2 "adapter expects NAME=FOLDER, not 'x'" "$RAPT" serve --model "$tiny" --adapter x
fails 2 "two models have the name 'a'" "$RAPT" serve --model "$tiny" --adapter "a=$tests/golden/score_chat_lora,a=$tests/golden/score_chat_lora2"
fails 2 'separates the goal' "$RAPT" serve --model "$tiny" --name a@b
fails 1 'nowhere' "$RAPT" serve --model "$tiny" --adapter a=nowhere
fails 2 'no best goal is known' "$RAPT" serve --model "$tiny" --goal best
fails 2 'list-goals: .*outside the scale' "$RAPT" serve --model "$tiny" --list-goals 2,99
fails 2 'list-goals: ' "$RAPT" serve --model "$tiny" --list-goals 2,x
fails 2 'list-goals is for chat requests' "$RAPT" serve --model "$tests/golden/llama_tiny" --list-goals 8
for origin in chat.example http:// https://chat.example/ 'https://*.example' 'http://a b' ://x; do fails 2 'allow-origin expects origins such as' "$RAPT" serve --model "$tiny" --allow-origin "$origin"; done
fails 2 'so no other origin stands beside it' "$RAPT" serve --model "$tiny" --allow-origin 'https://chat.example,*'
fails 2 'goal is for chat requests' "$RAPT" serve --model "$tests/golden/llama_tiny" --goal 8
fails 2 "rule has no effect without --scorer" "$RAPT" serve --model "$tiny" --rule json
fails 2 'scorer rule expects --rule NAME, one of regex, length, json, command' "$RAPT" serve --model "$tiny" --scorer rule
fails 2 'rule gsm8k compares with a field of each row' "$RAPT" serve --model "$tiny" --scorer rule --rule gsm8k
fails 2 'rule length expects --length N' "$RAPT" serve --model "$tiny" --scorer rule --rule length
fails 2 'pattern has no effect with --rule json' "$RAPT" serve --model "$tiny" --scorer rule --rule json --pattern x
fails 2 'scorer-model has no effect with --scorer rule' "$RAPT" serve --model "$tiny" --scorer rule --rule json --scorer-model x
fails 2 'score-range has no effect with --scorer reward-model' "$RAPT" serve --model "$tiny" --scorer reward-model --scorer-model x --score-range 1,5
fails 2 'scorer reward-model expects --scorer-model' "$RAPT" serve --model "$tiny" --scorer reward-model
fails 1 'language model, not a reward model' "$RAPT" serve --model "$tiny" --scorer reward-model --scorer-model "$tests/golden/llama_tiny"
python3 "$tests/cli/serve.py" "$RAPT" "$tests/golden" "$dir"
