#!/usr/bin/env bash
# rapt eval gsm8k and multiple-choice with --endpoint: through rapt serve the figures, responses and log-probs of the model in this process, goals told in three
# ways; nothing is asked twice; servers without echo are named as that (tests/server/judge_server.c is one, and it misbehaves).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/cli/judge_lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
export OMP_NUM_THREADS=1
gold=$tests/golden
chat=$gold/score_chat
"$RAPT" serve --model "$chat" --name tiny --port 0 --dtype reference --threads 1 >serve.out 2>serve.err &
server=$!
for ((i = 0; i < 1200; i++)); do address=$(grep -ohE 'http://127.0.0.1:[0-9]+' serve.out 2>/dev/null | head -1 || true); [ -n "$address" ] && break; kill -0 "$server" 2>/dev/null || break; sleep 0.05; done
if grep -q 'no HTTP server' serve.err; then echo "skipped: built without libmicrohttpd"; exit 77; fi
[ -n "$address" ] || { cat serve.err; exit 1; }
at=(--endpoint "$address/v1" --endpoint-model tiny)
here=(--model "$chat" --dtype reference --threads 1)
# samples and figures of two folders: texts equal, log-probs within 1e-4 nats (of the reference's 7 digits)
cat >same.py <<'P'
import glob, json, sys
a, b = ([json.loads(l) for l in open(glob.glob(d + "/samples_*.jsonl")[0])] for d in sys.argv[1:3])
told = len(sys.argv) > 3  # the server wrote the goal: the prompts differ
assert len(a) == len(b) > 0
for x, y in zip(a, b):
    for f in set(x) | set(y):
        if f in ("resps", "filtered_resps") and isinstance(x["resps"][0][0], list):
            pairs = [(p, q) for p, q in zip(x[f], y[f])]
            flat = lambda r: r[0] if isinstance(r[0], list) else r
            assert len(x[f]) == len(y[f]) > 1 and all(abs(float(flat(p)[0]) - float(flat(q)[0])) < 1e-4 and flat(p)[1] == flat(q)[1] for p, q in pairs), (x[f], y[f])
        elif f == "acc" and x[f] not in (0, 1):
            assert abs(x[f] - y[f]) < 1e-4, (x, y)
        elif f not in ("arguments", "tokens") or (f == "arguments" and not told):
            assert x.get(f) == y.get(f), (f, x, y)
m, n = (json.load(open(glob.glob(d + "/results_*.json")[0])) for d in sys.argv[1:3])
for task in m["results"]:
    for k, v in m["results"][task].items():
        assert v == n["results"][task][k] or abs(v - n["results"][task][k]) < 1e-4, (k, v)
assert m["config"]["model"] == "rapt" and n["config"]["model"] == n["model_source"] and n["config"]["model_args"] == "tiny" and n["config"]["dtype"] is None
P
same() { python3 same.py "$@" || { echo "$* differ"; exit 1; }; }

# ---- GSM8K: texts to completions, conversations to chat/completions ----
gsm() { "$RAPT" eval gsm8k --data "$gold/gsm8k/rows.jsonl" --limit 4 --max-gen-toks 24 "$@" 2>err; }
shots=(--num-fewshot 2 --fewshot-data "$gold/gsm8k/shots.jsonl")
gsm "${here[@]}" "${shots[@]}" --output-path g1 >t1
gsm "${at[@]}" "${shots[@]}" --output-path g2 >t2
same g1 g2
has g2/results_gsm8k.json '"model_source": "local-completions"'
cmp t1 t2
has g1/samples_gsm8k.jsonl '"finish": "stop"'
is "$(grep -o '"finish": "[a-z]*"' g1/samples_gsm8k.jsonl)" "$(grep -o '"finish": "[a-z]*"' g2/samples_gsm8k.jsonl)"
gsm "${at[@]}" "${shots[@]}" --output-path g2 >t2 # nothing is asked again
has err 'answers that were in the cache'
! grep -q 'requests sent' err
cmp t1 t2
for ((k = 0; k < 2; k++)); do # as a conversation: messages in the samples, since the template is the server's
  turns=$([ $k = 0 ] && echo --fewshot-as-multiturn || echo --no-fewshot-as-multiturn)
  gsm "${here[@]}" "${shots[@]}" --apply-chat-template $turns --system-instruction 'Be brief.' --output-path h1 >t1
  gsm "${at[@]}" "${shots[@]}" --apply-chat-template $turns --system-instruction 'Be brief.' --output-path h2 >t2
  same h1 h2 told
  has h2/results_gsm8k.json '"model_source": "local-chat-completions"'
  cmp t1 t2
done
has h2/samples_gsm8k.jsonl '"arg_0": "[{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", '
gsm "${here[@]}" --num-fewshot 0 --apply-chat-template --goal 7 --output-path k1 >t1
for as in prompt field suffix; do
  gsm "${at[@]}" --num-fewshot 0 --apply-chat-template --goal 7 --goal-as $as --output-path k$as >t2
  same k1 k$as told
  cmp t1 t2
done
gsm "${here[@]}" --num-fewshot 0 --apply-chat-template --output-path k2 >t2
if python3 same.py k1 k2 told 2>/dev/null; then echo "the goal changes nothing"; exit 1; fi
has kprompt/results_gsm8k.json '"goal": 7'
has kfield/results_gsm8k.json '"goal": "7"'

# ---- multiple choice: by text and by token ids ----
mc() { "$RAPT" eval multiple-choice "$@" 2>err; }
arc=(--task arc_challenge --data "$gold/harness/arc.jsonl" --limit 5 --num-fewshot 3 --fewshot-data "$gold/harness/arc_shots.jsonl")
mc "${here[@]}" "${arc[@]}" --output-path m1 >t1
mc "${at[@]}" "${arc[@]}" --output-path m2 --concurrency 1 >t2
same m1 m2
cmp t1 t2
mc "${at[@]}" "${arc[@]}" --tokenizer "$chat" --output-path m3 >t2
same m1 m3
cmp t1 t2
mc "${at[@]}" "${arc[@]}" --output-path m2 >t2 # all from the cache
! grep -q 'requests sent' err
cmp t1 t2
for task in truthfulqa_mc2:truthful leaderboard_musr:musr gpqa_zeroshot:gpqa; do
  [ -e "$gold/harness/${task#*:}.jsonl" ] || { echo "no ${task#*:}.jsonl"; exit 1; }
  mc "${here[@]}" --task "${task%:*}" --data "$gold/harness/${task#*:}.jsonl" --limit 2 --output-path "n1${task%:*}" >t1
  mc "${at[@]}" --task "${task%:*}" --data "$gold/harness/${task#*:}.jsonl" --limit 2 --output-path "n2${task%:*}" >t2
  same "n1${task%:*}" "n2${task%:*}"
  cmp t1 t2
done
bbh=(--task leaderboard_bbh --task-file "$gold/harness/bbh.yaml" --data "$gold/harness/bbh.jsonl" --limit 4 --num-fewshot 2 --apply-chat-template --goal 7)
mc "${here[@]}" "${bbh[@]}" --output-path o1 >t1
mc "${at[@]}" "${bbh[@]}" --tokenizer "$chat" --output-path o2 >t2
same o1 o2
cmp t1 t2
[ -s o2/leaderboard_bbh_negations.remote.jsonl ]
# a goal that the server writes moves where the choice begins
echo '{"text": "Aim at {s}.", "placement": "user"}' >style.json
mc "${here[@]}" "${arc[@]}" --goal 7 --goal-style style.json --output-path p1 >t1
mc "${at[@]}" "${arc[@]}" --goal 7 --goal-style style.json --output-path p2 >t2
same p1 p2
kill "$server"; wait "$server" || true; rm serve.out # or its address would be taken for the next one's
"$RAPT" serve --model "$chat" --name tiny --goal-style style.json --port 0 --dtype reference --threads 1 >serve.out 2>serve.err &
server=$!
for ((i = 0; i < 1200; i++)); do address=$(grep -ohE 'http://127.0.0.1:[0-9]+' serve.out 2>/dev/null | head -1 || true); [ -n "$address" ] && break; sleep 0.05; done
at=(--endpoint "$address/v1" --endpoint-model tiny)
for as in field suffix; do
  mc "${at[@]}" "${arc[@]}" --goal 7 --goal-as $as --output-path p$as >t2
  same p1 p$as told
done
kill "$server"; wait "$server" || true; server=

# ---- trouble: tried again, gone on with after a kill; a server without echo; what is refused ----
for ((i = 0; i < 40; i++)); do echo "{\"question\": \"p$i SCORE=$i\", \"answer\": \"#### $i\"}"; done >many.jsonl
serve mixed
many=(eval gsm8k --data many.jsonl --num-fewshot 0 --apply-chat-template --endpoint "$url" --endpoint-model m --retry-wait 0.05 --request-extra '{"temperature": 1}')
"$RAPT" "${many[@]}" --output-path r 2>err >t1 &
pid=$!
for ((i = 0; i < 3000; i++)); do [ "$(count '"key"' r/gsm8k.remote.jsonl 2>/dev/null)" -ge 12 ] 2>/dev/null && break; kill -0 "$pid" 2>/dev/null || break; sleep 0.02; done
kill -9 "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
[ "$(count '"key"' r/gsm8k.remote.jsonl)" -ge 12 ]
"$RAPT" "${many[@]}" --output-path r 2>err >t1
has t1 'flexible-extract   1.0000'
twice=$(grep answer log.txt | cut -d' ' -f2 | sort | uniq -d | wc -l)
[ "$twice" -le 8 ] || { echo "$twice asked twice"; exit 1; } # under way at the kill
serve fair
fails 1 'question 1: after 3 answers of the model.*does not know echo with logprobs in /v1/completions' "$RAPT" eval multiple-choice "${arc[@]}" --endpoint "$url" --endpoint-model m --concurrency 1
serve 400
fails 1 'question 1: after 1 answers of the model, asked for log-probs of its prompt (echo, logprobs): .*HTTP 400' "$RAPT" eval multiple-choice "${arc[@]}" --endpoint "$url" --endpoint-model m --concurrency 1
fails 1 'question 1: after 1 answers of the model: .*HTTP 400' "$RAPT" eval gsm8k --data many.jsonl --num-fewshot 0 --endpoint "$url" --endpoint-model m --concurrency 1
serve nonsense
fails 1 'question 1: after 2 answers of the model' "$RAPT" eval multiple-choice "${arc[@]}" --endpoint "$url" --endpoint-model m --concurrency 1 --answer-tries 2
stop
G="$RAPT eval gsm8k --data many.jsonl --num-fewshot 0"
M="$RAPT eval multiple-choice --task arc_easy --data x"
E="--endpoint http://h/v1 --endpoint-model m"
for command in "$G" "$M"; do
  fails 2 'model has no effect with --endpoint' $command $E --model m
  fails 2 'dtype has no effect with --endpoint' $command $E --dtype f32
  fails 2 'max-length has no effect with --endpoint' $command $E --max-length 10
  fails 2 'goal-as has no effect without --goal' $command $E --goal-as field
  fails 2 'goal-style has no effect with --goal-as field' $command $E --goal 3 --goal-as field --goal-style style.json
  fails 2 'goal-as has no effect without --endpoint' $command --model m --goal 3 --goal-as field
  fails 2 'cache has no effect without --endpoint' $command --model m --cache c
  fails 2 'answer-tries has no effect without --endpoint' $command --model m --answer-tries 2
  fails 2 '(or --endpoint) and --data are needed' $command
done
fails 2 'chat-template-kwargs has no effect with --endpoint' $G $E --apply-chat-template --chat-template-kwargs '{}'
fails 2 'which chat/completions does not take' $G --endpoint http://h/v1/chat/completions --endpoint-model m
fails 2 'goal expects one goal' $G $E --goal 3,4 --goal-as field
fails 2 'so --apply-chat-template is needed' $G $E --goal 3
fails 2 'no endpoint gives log-probs of a conversation' $M $E --apply-chat-template
fails 2 'into which no server writes a goal' $M $E --goal 3 --goal-as field --tokenizer "$chat"
fails 2 'tokenizer has no effect without --endpoint' $M --model m --tokenizer "$chat"
fails 1 "nowhere" "$RAPT" eval multiple-choice "${arc[@]}" $E --tokenizer nowhere
