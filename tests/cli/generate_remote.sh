#!/usr/bin/env bash
# rapt generate --endpoint: the responses of rapt serve are those of the model in this process, goals told in three ways; against a server that misbehaves
# (tests/server/judge_server.c) nothing is lost or asked twice; and the forms of the output.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/cli/judge_lib.sh"
export OMP_NUM_THREADS=1
chat=$tests/golden/score_chat
texts() { sed -E 's/.*"goal": ([^,]*), "sample": ([0-9]*), "text": (".*"), "tokens": ([0-9]+|null), "finish": ([^,]*), "row": ([0-9]+),.*/\6 \1 \2 \3 \4 \5/' "$1"; }
cat >rows.jsonl <<'R'
{"instruction": "Do number 1.", "dataset": "made", "uid": "u1"}
{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Number 2?"}]}
{"prompt": "And 3", "question_id": "q3"}
R

# ---- rapt serve as the server ----
"$RAPT" serve --model "$chat" --name tiny --port 0 --dtype reference --threads 1 >serve.out 2>serve.err &
server=$!
for ((i = 0; i < 1200; i++)); do address=$(grep -ohE 'http://127.0.0.1:[0-9]+' serve.out serve.err 2>/dev/null | head -1 || true); [ -n "$address" ] && break; kill -0 "$server" 2>/dev/null || break; sleep 0.05; done
if grep -q 'no HTTP server' serve.err; then echo "skipped: built without libmicrohttpd"; exit 77; fi
[ -n "$address" ] || { cat serve.err; exit 1; }
remote() { "$RAPT" generate --endpoint "$address/v1" --endpoint-model tiny --max-new-tokens 8 "$@"; }
here() { "$RAPT" generate --model "$chat" --dtype reference --threads 1 --max-new-tokens 8 "$@"; }
here --input rows.jsonl --goal 3,7.5 --temperature 0 --output here.jsonl 2>err
texts here.jsonl >want
[ "$(wc -l <want)" = 6 ]
for as in prompt field suffix; do
  remote --input rows.jsonl --goal 3,7.5 --temperature 0 --goal-as $as --output $as.jsonl 2>err
  texts $as.jsonl >found
  cmp want found || { diff want found; exit 1; }
done
has field.jsonl '"row": 0, "model": "tiny"}'
has field.jsonl '{"prompt": [{"role": "user", "content": "Do number 1."}], "goal": 3, "sample": 0'
here --input rows.jsonl --temperature 0 --system 'You are.' 2>err | sed 's/, "model".*//' >want
remote --input rows.jsonl --temperature 0 --system 'You are.' --cache c.jsonl 2>err | sed 's/, "model".*//' >found
cmp want found
echo '{"text": "Aim at {s}.", "placement": "user"}' >style.json
here --input rows.jsonl --goal 4 --goal-style style.json --temperature 0 2>err | sed 's/, "model".*//' >want
remote --input rows.jsonl --goal 4 --goal-style style.json --temperature 0 2>err | sed 's/, "model".*//' >found # without a file there is no cache
cmp want found
# what a row has for the template goes to the server, and rapt serve takes no tools
echo '{"prompt": [{"role": "user", "content": "q"}], "tools": [{"type": "function", "function": {"name": "f"}}]}' >tools.jsonl
fails 1 'HTTP 400.*tools' remote --input tools.jsonl --output t.jsonl
echo '{"prompt": [{"role": "user", "content": "q"}], "chat_template_kwargs": {"enable_thinking": false}}' >kwargs.jsonl
here --input kwargs.jsonl --temperature 0 2>err | sed 's/, "model".*//' >want
remote --input kwargs.jsonl --temperature 0 2>err | sed 's/, "model".*//' >found
cmp want found
echo '{"prompt": [{"role": "user", "content": "q"}], "chat_template_kwargs": {"messages": 1}}' >kwargs.jsonl
fails 1 'HTTP 400.*not a template variable' remote --input kwargs.jsonl --output t2.jsonl
# a server that nobody limited writes what its context holds, however many tokens are asked for
"$RAPT" generate --endpoint "$address/v1" --endpoint-model tiny --max-new-tokens 5000 --prompt 'Number 5?' --temperature 0 --json 2>err | grep -oE '"finish": "(stop|length)"' >found
is "$(wc -l <found)" 1
# a sample is that of its seed; those of one prompt differ
here --prompt 'Number 4?' --seed 5 2>err >want
remote --prompt 'Number 4?' --seed 5 2>err >found
cmp want found
remote --prompt 'Number 4?' --seed 5 --n 3 --json --model-id other >found 2>err
is "$(texts found | sort -u | wc -l)" 3
has found '"model": "other"}'
# at several temperatures: the seeds count through them; the first is that of the model in this process
here --prompt 'Number 4?' --seed 5 --temperature 0.5,2 --n 2 --json 2>err | sed 's/, "model".*//' >want
remote --prompt 'Number 4?' --seed 5 --temperature 0.5,2 --n 2 --json 2>err | sed 's/, "model".*//' >found
is "$(head -1 found)" "$(head -1 want)"
is "$(grep -o '"temperature": [0-9.]*, "sample": [0-9]' found)" "$(grep -o '"temperature": [0-9.]*, "sample": [0-9]' want)"
remote --prompt 'Number 4?' --seed 5 --temperature 2 --n 4 --json 2>err | sed 's/, "model".*//' | tail -2 >one
is "$(tail -2 found | sed 's/"temperature": 2, //')" "$(cat one)"
# every turn of MT-Bench
for ((i = 0; i < 3; i++)); do echo "{\"question_id\": $((81 + i)), \"category\": \"$([ $i = 0 ] && echo writing || echo math)\", \"turns\": [\"Do $i.\", \"And $i.\"]}"; done >question.jsonl
answers() { "$RAPT" eval mt-answers --questions question.jsonl --model-id m --max-new-tokens 6 "$@" | sed 's/, "tstamp".*//'; }
grep math question.jsonl >greedy.jsonl
cp greedy.jsonl question.jsonl
answers --model "$chat" --dtype reference --threads 1 --goal 7 >want 2>err
is "$(grep -c '"turns": \[".*", ".*"\]}\]' want)" 2
for as in prompt field suffix; do
  answers --endpoint "$address/v1" --endpoint-model tiny --goal 7 --goal-as $as >found 2>err
  cmp want found || { diff want found; exit 1; }
done
# ---- --raw: texts, continued ----
printf '%s\n' '{"prompt": "the cat"}' '{"prompt": "two\nlines \u00e9"}' >raw.jsonl
here --input raw.jsonl --raw --temperature 0 2>err | sed 's/, "model".*//' >want
remote --input raw.jsonl --raw --temperature 0 --output raw.out 2>err
sed 's/, "model".*//' raw.out >found
cmp want found || { diff want found; exit 1; }
has found '{"prompt": "the cat", "goal": null, "sample": 0, "text": "'
here --input raw.jsonl --raw --goal 4 --goal-style style.json --temperature 0 2>err | sed 's/, "model".*//' >want
remote --input raw.jsonl --raw --goal 4 --goal-style style.json --temperature 0 2>err | sed 's/, "model".*//' >found
cmp want found
fails 1 'rows.jsonl:2: field prompt: a conversation, and with --raw an endpoint goes on from a text' remote --input rows.jsonl --raw --output r.jsonl
fails 1 'the goal stands in the system turn, and the prompt is a plain string' remote --input raw.jsonl --raw --goal 4
fails 2 'raw goes on from a text, which chat/completions does not take' "$RAPT" generate --endpoint "$address/v1/chat/completions" --endpoint-model tiny --raw --prompt a
fails 1 'HTTP 400.*no best goal is known for tiny' remote --prompt a --goal best --goal-as field
kill "$server"; wait "$server" || true; server=
# ---- goals of several attributes, and the best: in the messages by the style, else read by the server, which says what it took ----
echo '{"text": "Aim:\n{scaled}", "placement": "user", "attributes": [{"name": "helpful", "low": 0, "high": 4, "best": 4}, {"name": "long", "low": 0, "high": 1, "best": 0.5}], "quantum": 0}' >many.json
rm -f serve.out serve.err # or the address of the server before is read, until the new one has emptied them
"$RAPT" serve --model "$chat" --name tiny --goal-style many.json --port 0 --dtype reference --threads 1 >serve.out 2>serve.err &
server=$!
for ((i = 0; i < 1200; i++)); do address=$(grep -ohE 'http://127.0.0.1:[0-9]+' serve.out serve.err 2>/dev/null | head -1 || true); [ -n "$address" ] && break; kill -0 "$server" 2>/dev/null || break; sleep 0.05; done
goals='long=1,helpful=2;best;best,long=0'
rest() { sed 's/, "model".*//' "$1"; }
here --input rows.jsonl --goal "$goals" --goal-style many.json --temperature 0 --output here.jsonl 2>err
has here.jsonl '"goal": {"helpful": 4, "long": 0}'
remote --input rows.jsonl --goal "$goals" --goal-style many.json --temperature 0 --output prompt.jsonl 2>err
diff <(rest here.jsonl) <(rest prompt.jsonl)
for as in field suffix; do
  remote --input rows.jsonl --goal "$goals" --temperature 0 --goal-as $as --output $as.jsonl 2>err
  diff <(rest here.jsonl) <(rest $as.jsonl)
done
remote --prompt 'the cat' --goal "$goals" --goal-as field --temperature 0 2>err | seen -x '== goal best,long=0 =='
answers --model "$chat" --dtype reference --threads 1 --goal best,long=1 --goal-style many.json >want 2>err
answers --endpoint "$address/v1" --endpoint-model tiny --goal best,long=1 --goal-style many.json >found 2>err
cmp want found
for as in field suffix; do
  answers --endpoint "$address/v1" --endpoint-model tiny --goal long=1,helpful=4 --goal-as $as >found 2>err
  cmp want found || { diff want found; exit 1; }
done
fails 1 'HTTP 400.*lacks long' remote --prompt a --goal helpful=1 --goal-as field
fails 2 'goal expects one goal' "$RAPT" eval mt-answers --questions question.jsonl --model-id m --endpoint "$address/v1" --endpoint-model tiny --goal 'best;long=1,helpful=2' --goal-as field
# what a style file knows as best
echo '{"text": "Aim at {s}.", "placement": "user", "low": 1, "high": 10, "best": 7}' >best.json
remote --prompt 'the cat' --goal best --goal-style best.json --temperature 0 --json 2>err | seen '"goal": 7, '
kill "$server"; wait "$server" || true; server=
fails 1 'after 2 tries' remote --prompt a --request-tries 2 --retry-wait 0.01 # nobody listens

# ---- forms ----
serve fair
remote() { "$RAPT" generate --endpoint "$url" --endpoint-model m --retry-wait 0.05 "$@"; }
cat >alpaca_eval.json <<'J'
[{"instruction": "SCORE=3 \"x\"", "dataset": "made", "output": "the baseline's", "generator": "base"},
 {"instruction": "SCORE=4", "dataset": "made", "output": "the baseline's", "generator": "base"}]
J
remote --input alpaca_eval.json --form alpaca --model-id own --goal 8 --output model_outputs.json 2>err
printf '[\n{"dataset": "made", "instruction": "SCORE=3 \\"x\\"", "output": "3", "generator": "own"},\n{"dataset": "made", "instruction": "SCORE=4", "output": "4", "generator": "own"}\n]\n' >want
cmp want model_outputs.json
"$RAPT" eval judge --bench alpaca --answers model_outputs.json --baseline-answers alpaca_eval.json --output annotations.json --endpoint "$url" --endpoint-model m 2>err # what it writes is what judging reads
echo '{"uid": "u1", "category": "hard_prompt", "prompt": "SCORE=5"}' >arena.jsonl
remote --input arena.jsonl --form arena-hard-v2 --model-id own --output a2.jsonl 2>err
is "$(sed -E 's/"(ans_id|tstamp)": [^,}]*/"\1"/g' a2.jsonl)" '{"uid": "u1", "ans_id", "model": "own", "messages": [{"role": "user", "content": "SCORE=5"}, {"role": "assistant", "content": {"answer": "5"}}], "tstamp"}'
remote --input arena.jsonl --form arena-hard-v0.1 --model-id own --output a1.jsonl 2>err
is "$(sed -E 's/"(answer_id|tstamp)": [^,}]*/"\1"/g' a1.jsonl)" '{"question_id": "u1", "answer_id", "model_id": "own", "choices": [{"index": 0, "turns": [{"content": "5", "token_len": 1}]}], "tstamp"}'
sed 's/own/gpt-4-0314/' a1.jsonl >base1.jsonl
"$RAPT" eval judge --bench arena-hard-v0.1 --questions arena.jsonl --answers a1.jsonl --baseline-answers base1.jsonl --output j.jsonl --endpoint "$url" --endpoint-model m 2>err
"$RAPT" generate --model "$chat" --input arena.jsonl --form arena-hard-v2 --model-id local --max-new-tokens 4 --output a3.jsonl 2>err
has a3.jsonl '"model": "local"'
printf '{"uid": "u1", "category": "hard_prompt", "prompt": "SCORE=5"}\n' >arena2.jsonl
remote --input arena2.jsonl --form arena-hard-v2 --model-id own --length-tokenizer "$chat" --output a4.jsonl 2>err
n=$("$RAPT" tokenize --model "$chat" --text 5 | wc -w)
has a4.jsonl "\"metadata\": {\"token_len\": $n, \"header_count\": {\"h1\": 0, "
fails 2 'length-tokenizer has no effect with --form alpaca' remote --input arena2.jsonl --form alpaca --model-id own --length-tokenizer "$chat" --output x.jsonl
: >none.jsonl
# a server that reads goals by name, and does not say which it took
fails 1 'does not say as "goal" which goal was taken for best' remote --prompt SCORE=3 --goal best --goal-as suffix --answer-tries 1
fails 1 'does not say as "goal" which goal was taken for a=1,b=3' remote --prompt SCORE=3 --goal a=1,b=3 --goal-as suffix --answer-tries 1
echo '{"prompt": "SCORE=3"}' >took.jsonl # written anew, on one line
remote --input took.jsonl --goal a=1,b=2 --goal-as suffix --output took.out 2>err
is "$(wc -l <took.out)" 1
has took.out '"goal": {"a": 1, "b": 2}, '
remote --input none.jsonl --form alpaca --model-id own --output none.json 2>err
is "$(cat none.json)" "$(printf '[\n]')"
fails 1 "rows.jsonl:2: --form arena-hard-v2: the row has no field uid" remote --input rows.jsonl --form arena-hard-v2 --model-id x --output x.jsonl
fails 1 'this form has one text as its prompt' remote --input rows.jsonl --form alpaca --model-id x --output x.jsonl
fails 2 "form: there is no 'x'" remote --input rows.jsonl --form x
fails 2 'form alpaca expects --model-id' remote --input rows.jsonl --form alpaca --output x.jsonl
fails 2 'has one response to a prompt' remote --input rows.jsonl --form alpaca --model-id x --n 2 --output x.jsonl
fails 2 'has one response to a prompt' remote --input rows.jsonl --form alpaca --model-id x --temperature 0.5,1 --output x.jsonl
fails 2 'form alpaca expects --input' remote --prompt a --form alpaca --model-id x
fails 2 'has no effect on plain text' remote --prompt a --form rows

# ---- trouble, killed in the middle (-9), gone on with, and again ----
for ((i = 0; i < 60; i++)); do echo "{\"prompt\": \"p$i SCORE=$i\"}"; done >many.jsonl
for ((i = 0; i < 60; i++)); do printf '"%s"\n"%s"\n' $i $i; done >want
serve mixed
"$RAPT" generate --endpoint "$url" --endpoint-model m --retry-wait 0.05 --input many.jsonl --n 2 --output m.jsonl 2>err & # not the function: the kill is for rapt itself
pid=$!
for ((i = 0; i < 3000; i++)); do [ "$(count '"key"' m.jsonl.remote.jsonl 2>/dev/null)" -ge 20 ] 2>/dev/null && break; sleep 0.02; done
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
[ "$(count '"key"' m.jsonl.remote.jsonl)" -ge 20 ]
remote --input many.jsonl --n 2 --output m.jsonl 2>err
grep -o '"text": "[0-9]*"' m.jsonl | sed 's/"text": //' | cmp - want
twice=$(grep answer log.txt | cut -d' ' -f2 | sort | uniq -d | wc -l)
[ "$twice" -le 8 ] || { echo "$twice asked twice"; exit 1; } # under way at the kill
after=$(wc -l <log.txt)
remote --input many.jsonl --n 2 --output m2.jsonl --cache m.jsonl.remote.jsonl 2>err
cmp m.jsonl m2.jsonl
is "$(wc -l <log.txt)" "$after"
if grep -q 'p5 ' m.jsonl.remote.jsonl; then echo "the cache holds prompts"; exit 1; fi
# a server that refuses: the run stops, or the responses are left out and counted
serve 400
fails 1 'row 1: after 1 answers of the model: .*HTTP 400.* (--on-bad-answer skip goes on)' remote --input rows.jsonl --concurrency 1 --output refused.jsonl
remote --input rows.jsonl --on-bad-answer skip --output refused.jsonl 2>err
has err '3 responses are missing'
is "$(wc -l <refused.jsonl)" 0
serve 401
K=secret-abc fails 1 'HTTP 401 after 1 try: .*no: Bearer \*\*\*' env K=secret-abc "$RAPT" generate --endpoint "$url" --endpoint-model m --api-key-env K --input rows.jsonl --output y.jsonl
serve mixed
cp greedy.jsonl question.jsonl
sed 's/Do/SCORE=5 Do/; s/: 82/: 90/; s/math/writing/' greedy.jsonl | head -1 >>question.jsonl
"$RAPT" eval mt-answers --questions question.jsonl --model-id m --endpoint "$url" --endpoint-model m --retry-wait 0.05 --answer-tries 5 --output mt.jsonl 2>err || { cat err; exit 1; }
has mt.jsonl '{"question_id": 90'
has mt.jsonl '"turns": ["5", "5"]'
after=$(wc -l <log.txt)
"$RAPT" eval mt-answers --questions question.jsonl --model-id m --endpoint "$url" --endpoint-model m --cache mt.jsonl.remote.jsonl --answer-tries 5 --output mt2.jsonl 2>err
cmp <(sed 's/"tstamp.*//' mt.jsonl) <(sed 's/"tstamp.*//' mt2.jsonl)
is "$(wc -l <log.txt)" "$after"
stop
M="$RAPT eval mt-answers --questions question.jsonl --model-id m"
fails 2 'model has no effect with --endpoint' $M --endpoint http://h/v1 --endpoint-model m --model m
fails 2 'cache has no effect without --endpoint' $M --model m --cache m
fails 2 'goal-as has no effect without --goal' $M --endpoint http://h/v1 --endpoint-model m --goal-as field
G="$RAPT generate --endpoint http://h/v1 --endpoint-model m --prompt a"
fails 2 'model has no effect with --endpoint' $G --model m
fails 2 'dtype has no effect with --endpoint' $G --dtype f32
fails 2 'goal-as has no effect without --goal' $G --goal-as field
fails 2 'goal-style has no effect with --goal-as field' $G --goal 3 --goal-as field --goal-style style.json
fails 2 'goal best: with --goal-as prompt the best goal is that of --goal-style' $G --goal best
for bad in x 3,x helpful= =3 helpful=x best=; do fails 2 'with --endpoint a goal is a number, best, or NAME=G,NAME=G, not' $G --goal $bad --goal-as field; done
fails 2 'expects --endpoint-model NAME' "$RAPT" generate --endpoint http://h/v1 --prompt a
fails 2 'endpoint-model has no effect without --endpoint' "$RAPT" generate --model "$chat" --endpoint-model m --prompt a
fails 2 'goal-as has no effect without --endpoint' "$RAPT" generate --model "$chat" --goal-as field --prompt a
echo '{"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4]}' >ids.jsonl
fails 1 'an endpoint is asked in messages' "$RAPT" generate --endpoint http://h/v1 --endpoint-model m --input ids.jsonl
