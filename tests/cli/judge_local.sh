#!/usr/bin/env bash
# rapt eval judge with a judge in this process: the golden model says what transformers' does and prefers what it prefers (tests/oracle/make_bench_local.py), in the
# files that a judge behind an endpoint gives; what cannot work is refused.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
G=$tests/golden/bench_local
cd "$dir"
judge() { "$RAPT" eval judge --model "$G" --dtype f32 --judge-id tiny "$@"; }
texts() { sed -nE 's/^  +"[^"]+": "(.*)",?$/\1/p' | sort; } # of expected.json: what the model said
said() { sed -n "/\"$1\": {/,/}/p" "$G/expected.json"; }

# ---- AlpacaEval ----
A="--bench alpaca --answers $G/alpaca_own.json --baseline-answers $G/alpaca_base.json --judge-prompts $G/alpaca.txt"
judge $A --output a.json --json >counts 2>err
has counts '{"judgements": 6, "equal": 1, "asked": 5, "cached": 0, "requests_sent": 0'
has counts '"bad_answers": 1, "given_up": 1'
has counts '"completion_tokens": 5,'
has err '1 judgements have no verdict'
has a.json '"annotator": "tiny"'
sed -n '/preferences/,/]/p' "$G/expected.json" | grep -oE 'null|[0-9.]+' >want
grep -oE '"preference": (null|[0-9.]+)' a.json | sed 's/.*: //' >have
paste want have | awk '($1 == "null") != ($2 == "null") || ($1 - $2) ^ 2 > 1e-8 {print "row " NR ": " $2 ", transformers " $1; bad = 1} END {exit bad || NR != 6}'
"$RAPT" eval alpaca --annotations a.json >text 2>err
has text 'own against base: 5 preferences of 6 rows'
judge $A --output b.json --batch-size 1 --threads 1 2>err # the batch makes no difference
paste have <(grep -oE '"preference": (null|[0-9.]+)' b.json | sed 's/.*: //') | awk '($1 - $2) ^ 2 > 1e-8 {exit 1}'

# ---- MT-Bench ----
M="--questions $G/mt_question.jsonl --reference-answers $G/mt_ref.jsonl --answers $G/mt_own.jsonl --judge-prompts $G/mt_prompts.jsonl"
judge --bench mt-bench $M --output mt.jsonl --json >counts 2>err
has counts '"bad_answers": 1, "given_up": 1'
diff <(grep -oE '"judgment": "[^"]*"' mt.jsonl | sed -E 's/.*: "(.*)"/\1/' | sort) <(said mt-bench | texts)
[ "$(grep -oE '"score": [0-9.-]+' mt.jsonl | sed 's/.*: //' | tr '\n' ' ')" = "8 3 -1 5 7 10 " ] || { cat mt.jsonl; exit 1; }
judge --bench mt-bench-pair $M --baseline-answers "$G/mt_base.jsonl" --output pair.jsonl 2>err
diff <(grep -oE '_judgment": "[^"]*"' pair.jsonl | sed -E 's/.*: "(.*)"/\1/' | sort) <(said mt-bench-pair | texts)
# another try is at temperature 1, and is counted; it may say anything
judge --bench mt-bench $M --output mt3.jsonl --answer-tries 3 --max-answer-tokens 24 --json >counts 2>err
grep -qE '"bad_answers": [1-3], "given_up": [01]' counts || { cat counts; exit 1; }
fails 1 'question 82: after 1 answers of the judge: expected a grade' judge --bench mt-bench $M --output x.jsonl --on-bad-answer stop

# ---- Arena-Hard: v0.1 goes on with the conversation where there is no verdict, v2 does not ----
H="--questions $G/arena_question.jsonl --answers $G/arena_own.jsonl --baseline-answers $G/arena_gpt-4-0314.jsonl --judge-prompts $G/arena.yaml"
verdicts() { grep -oE '"score": ("[^"]*"|null)' "$1" | sed 's/.*: //' | tr -d '"' | tr '\n' ' '; }
judge --bench arena-hard-v0.1 $H --output v1.jsonl --json >counts 2>err
has counts '"asked": 6,'
has counts '"bad_answers": 3, "given_up": 1'
[ "$(verdicts v1.jsonl)" = "A>B B>>A B>A A=B A>>B null " ] || { cat v1.jsonl; exit 1; }
diff <(grep -oE '"judgment": "[^"]*"' v1.jsonl | sed -E 's/.*: "(.*)"/\1/; s/\\n/\n/g' | sed '/^$/d' | sort) <(said arena | texts)
judge --bench arena-hard-v2 $H --baseline gpt-4-0314 --output v2.jsonl 2>err
[ "$(verdicts v2.jsonl)" = "A>B B>>A null A=B A>>B null " ] || { cat v2.jsonl; exit 1; }

# a question that leaves no room is one without a verdict, or the end
judge --bench arena-hard-v2 $H --output v3.jsonl --max-length 60 --json >counts 2>err
has counts '"bad_answers": 6, "given_up": 6'
has err 'leaves no room for an answer within 60 (--max-length; the model has 1024 positions)'
fails 1 'leaves no room for an answer within 60' judge --bench arena-hard-v2 $H --output x.jsonl --max-length 60 --on-bad-answer stop

# ---- what cannot work ----
J="$RAPT eval judge --output x.json"
fails 2 'expects --endpoint URL, or --model M for a judge in this process' $J $A
fails 2 'expects --endpoint URL, or --model M' $J $A --model "$G" --endpoint http://h/v1 --endpoint-model m
for o in '--cache c' '--concurrency 2' '--endpoint-model m' '--price-input 1'; do fails 2 "${o%% *} has no effect without --endpoint" $J $A --model "$G" $o; done
for o in '--adapter d' '--dtype f32' '--threads 1' '--batch-size 2' '--max-length 9' '--chat-template-kwargs {}'; do fails 2 "${o%% *} has no effect with --endpoint" $J $A --endpoint http://h/v1 --endpoint-model m $o; done
fails 2 'batch-size expects 1 to' $J $A --model "$G" --batch-size 0
fails 2 'max-length expects' $J $A --model "$G" --max-length 1
fails 2 'is read by one token' $J $A --model "$G" --max-answer-tokens 2
cp -r "$G" bare && rm bare/chat_template.jinja
fails 1 'a judge is asked in a conversation, and' $J $A --model bare
cp -r "$G" nosys && echo "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}{{ m.content }}{% endfor %}" >nosys/chat_template.jinja
fails 1 'the judge reads a system text, which the chat template of this model does not take' $J $A --model nosys
fails 1 'nowhere: cannot open' $J $A --model nowhere
[ ! -e x.json ]
