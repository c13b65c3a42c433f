#!/usr/bin/env bash
# rapt eval judge: benchmarks' judgements against a real HTTP server (tests/server/judge_server.c) that is late, fails, drops connections, asks to wait and
# talks nonsense; then the evaluation of what was written. The texts that are asked are compared by test_bench_judge.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/cli/judge_lib.sh"
judge() { "$RAPT" eval judge --endpoint "$url" --endpoint-model m --retry-wait 0.05 "$@"; }

# ---- AlpacaEval: own outputs 1 to 10, the baseline's 5; 3/4 on the better ----
alpaca_file() { # generator, first score, step: outputs of $n instructions
  awk -v n="$n" -v g="$1" -v from="$2" -v step="$3" 'BEGIN {print "["; for (i = 0; i < n; i++)
    printf "{\"instruction\": \"Do %d.\", \"output\": \"text %d SCORE=%d\", \"generator\": \"%s\"}%s\n", i, i, (from + step * i - 1) % 10 + 1, g, i < n - 1 ? "," : ""; print "]"}'
}
preferences() { grep -oE '"preference": (null|[0-9.]+)' "$1" | sed 's/.*: //' | tr '\n' ' '; }
n=10
alpaca_file base 5 0 >base.json
alpaca_file own 1 1 >own.json
serve fair
A="--bench alpaca --answers own.json --baseline-answers base.json"
judge $A --output a.json --json >counts 2>err
is "$(preferences a.json)" "1.25 1.25 1.25 1.25 1.5 1.75 1.75 1.75 1.75 1.75 "
has counts '{"judgements": 10, "equal": 1, "asked": 9, "cached": 0, "requests_sent": 9'
has counts '"prompt_tokens": 900, "completion_tokens": 9'
"$RAPT" eval alpaca --annotations a.json >text 2>err
has text 'own against base: 10 preferences of 10 rows'
has text '52.50'
# everything is in the cache, which holds no text
if grep -q 'Do 3' a.json.judge.jsonl; then echo "the cache holds prompts"; exit 1; fi
asked=$(count answer log.txt)
judge $A --output a2.json --cache a.json.judge.jsonl 2>err
cmp a.json a2.json
is "$(count answer log.txt)" "$asked"
# the first rows; a template of one's own
printf '<|im_start|>user\nmodel_identifier? {instruction} {output_1} {output_2}\n<|im_end|>' >t.txt
judge $A --output a.json --limit 4 --judge-prompts t.txt 2>err
is "$(preferences a.json)" "1.25 1.25 1.25 1.25 "
printf 'no marks {instruction} {output_1} {output_2}' >t.txt
fails 1 't.txt: a template is ChatML' judge $A --output b.json --judge-prompts t.txt
printf '<|im_start|>user\n{instruction} {output_1}<|im_end|>' >t.txt
fails 1 't.txt: the template has the place {output_2} once' judge $A --output b.json --judge-prompts t.txt

# Trouble of every kind, killed in the middle (-9), gone on with, and again. As if nothing had been.
n=120
alpaca_file base 5 0 >base.json
alpaca_file own 1 1 >own.json
for ((i = 0; i < 12; i++)); do echo -n "1.25 1.25 1.25 1.25 1.5 1.75 1.75 1.75 1.75 1.75 "; done >want
serve mixed
"$RAPT" eval judge --endpoint "$url" --endpoint-model m --retry-wait 0.05 $A --output m.json 2>err & # not the function: the kill is for rapt itself
pid=$!
for ((i = 0; i < 3000; i++)); do [ "$(count '"key"' m.json.judge.jsonl 2>/dev/null)" -ge 20 ] 2>/dev/null && break; sleep 0.02; done
kill -9 "$pid" # where it came too late there is less to see, and nothing to fail
wait "$pid" 2>/dev/null || true
kept=$(count '"key"' m.json.judge.jsonl)
[ "$kept" -ge 20 ] || { echo "$kept answers at the kill"; exit 1; }
judge $A --output m.json --json >counts 2>err
is "$(preferences m.json)" "$(cat want)"
has counts '"judgements": 120, "equal": 12, "asked": 108,'
for what in failed dropped limited; do [ "$(count $what log.txt)" -gt 0 ] || { echo "no answer was $what"; exit 1; }; done
# Asked again were at most the 8 that were under way at the kill.
twice=$(grep answer log.txt | cut -d' ' -f2 | sort | uniq -d | wc -l)
[ "$twice" -le 8 ] || { echo "$twice asked twice"; exit 1; }
after=$(wc -l <log.txt)
judge $A --output m2.json --cache m.json.judge.jsonl --json >counts 2>err
cmp m.json m2.json
is "$(wc -l <log.txt)" "$after"
has counts '"requests_sent": 0'
n=10
alpaca_file base 5 0 >base.json
alpaca_file own 1 1 >own.json

# ---- MT-Bench: grades, and pairs in both orders ----
for ((i = 0; i < 6; i++)); do
  category=$([ $((i % 2)) = 0 ] && echo writing || echo math)
  echo "{\"question_id\": $((81 + i)), \"category\": \"$category\", \"turns\": [\"Do $i.\", \"And $i.\"]}" >>question.jsonl
  for m in own base reference; do
    score=$([ $m = own ] && echo $((i + 2)) || echo 5)
    [ $m = reference ] && score=none
    echo "{\"question_id\": $((81 + i)), \"model_id\": \"$m\", \"choices\": [{\"index\": 0, \"turns\": [\"$m SCORE=$score\", \"$m again SCORE=$score\"]}]}" | sed 's/SCORE=none/said/g' >>$m.jsonl
  done
done
M="--questions question.jsonl --reference-answers reference.jsonl --answers own.jsonl"
judge --bench mt-bench $M --output mt.jsonl --answer-tries 4 --json >counts 2>err
is "$(grep -oE '"score": [0-9.-]+' mt.jsonl | sed 's/.*: //' | tr '\n' ' ')" "2 4 6 3 5 7 2 4 6 3 5 7 "
has counts '"judgements": 12, "equal": 0, "asked": 12,'
is "$(count '"judge": \["m", "single-math-v1-multi-turn"\]' mt.jsonl)" 3
"$RAPT" eval mt-bench --judgments mt.jsonl --questions question.jsonl >text 2>err
has text 'own                             4.500 [3.167, 5.833]    4.500 [3.167, 5.833]    4.500 [3.167, 5.833]'
judge --bench mt-bench-pair $M --baseline-answers base.jsonl --output pair.jsonl --answer-tries 4 2>err
"$RAPT" eval mt-bench --judgments pair.jsonl --baseline base >text 2>err
has text '4 won, 6 lost, 2 tied' # 2 to 7 against 5, in two turns
fails 1 'question 82: there is no answer of --reference-answers, which the judge of its category reads' judge --bench mt-bench --questions question.jsonl --answers own.jsonl --output x.jsonl
head -3 own.jsonl >some.jsonl
judge --bench mt-bench ${M/own.jsonl/some.jsonl} --output some_mt.jsonl --answer-tries 4 2>err
has err 'some.jsonl: 3 questions have no answer in it'
is "$(wc -l <some_mt.jsonl)" 6
sed 's/{answer}/{answers}/' "$tests/../prompts/mt_bench.jsonl" >p.jsonl
fails 1 "p.jsonl:.*'{answers}' is no place of this prompt" judge --bench mt-bench $M --output x.jsonl --judge-prompts p.jsonl
grep -v '"single-v1"' "$tests/../prompts/mt_bench.jsonl" >p.jsonl
fails 1 'p.jsonl: there is no prompt single-v1' judge --bench mt-bench $M --output x.jsonl --judge-prompts p.jsonl

# ---- Arena-Hard ----
for ((i = 0; i < 6; i++)); do
  echo "{\"question_id\": \"q$i\", \"category\": \"arena-hard-v0.1\", \"turns\": [{\"content\": \"Do $i.\"}]}" >>question1.jsonl
  echo "{\"uid\": \"q$i\", \"category\": \"$([ $i = 0 ] && echo creative_writing || echo hard_prompt)\", \"prompt\": \"Do $i.\"}" >>question2.jsonl
  for m in own gpt-4-0314 o3-mini-2025-01-31 gemini-2.0-flash-001; do
    score=$([ $m = own ] && echo $((i * 2 + 1)) || echo 5)
    echo "{\"question_id\": \"q$i\", \"model_id\": \"$m\", \"choices\": [{\"index\": 0, \"turns\": [{\"content\": \"$m SCORE=$score\"}]}]}" >>$m.1.jsonl
    echo "{\"uid\": \"q$i\", \"model\": \"$m\", \"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": {\"answer\": \"$m SCORE=$score\"}}]}" >>$m.2.jsonl
  done
done
verdicts() { grep -oE '"score": ("[^"]*"|null)' "$1" | sed 's/.*: //' | tr -d '"' | tr '\n' ' '; }
want="A>>B B>>A A>B B>A A=B A=B B>A A>B B>>A A>>B B>>A A>>B "
V1="--bench arena-hard-v0.1 --questions question1.jsonl --answers own.1.jsonl"
V2="--bench arena-hard-v2 --questions question2.jsonl --answers own.2.jsonl"
judge $V1 --baseline-answers gpt-4-0314.1.jsonl --output v1.jsonl --answer-tries 4 2>err
is "$(verdicts v1.jsonl)" "$want"
"$RAPT" eval arena-hard --bench v0.1 --judgments v1.jsonl >text 2>err
has text 'Arena-Hard v0.1 against gpt-4-0314: 24 battles'
judge $V2 --baseline-answers o3-mini-2025-01-31.2.jsonl,gemini-2.0-flash-001.2.jsonl --output v2.jsonl --answer-tries 4 2>err
is "$(verdicts v2.jsonl)" "$want"
has v2.jsonl '"baseline": "gemini-2.0-flash-001"'
"$RAPT" eval arena-hard --judgments v2.jsonl >text 2>err
has text 'against o3-mini-2025-01-31: 18 battles'
cat own.1.jsonl gpt-4-0314.1.jsonl >two.jsonl
fails 1 "two.jsonl: answers of 'own' and of 'gpt-4-0314'; give one file a model" judge --bench arena-hard-v0.1 --questions question1.jsonl --answers two.jsonl --baseline-answers gpt-4-0314.1.jsonl --output x.jsonl
fails 1 'has no answer of gemini-2.0-flash-001 (--baseline NAME' judge $V2 --baseline-answers o3-mini-2025-01-31.2.jsonl --output x.jsonl
judge $V2 --baseline-answers o3-mini-2025-01-31.2.jsonl --baseline o3-mini-2025-01-31 --output v2o.jsonl --answer-tries 4 2>err
is "$(verdicts v2o.jsonl)" "$want"
printf 'system_prompt: "Say [[A>>B]] to [[B>>A]]."\nprompt_template: ["{question_1} {answer_1} {answer_2}"]\nregex_pattern: \\[\\[([AB<>=]+)\\]\\]\n' >p.yaml
judge $V1 --baseline-answers gpt-4-0314.1.jsonl --output v1p.jsonl --answer-tries 4 --judge-prompts p.yaml 2>err
is "$(verdicts v1p.jsonl)" "$want"
has v1p.jsonl '"user_prompt": "Do 0. gpt-4-0314 SCORE=5 own SCORE=1"'
printf 'prompt_template: "{question_1} {answer_1} {answer_2}"\nregex_pattern: x\n' >p.yaml
fails 1 'p.yaml:2: verdicts are read by' judge $V1 --baseline-answers gpt-4-0314.1.jsonl --output x.jsonl --judge-prompts p.yaml
echo 'model_list: [a]' >p.yaml
fails 1 'p.yaml: there is none of prompt_template' judge $V1 --baseline-answers gpt-4-0314.1.jsonl --output x.jsonl --judge-prompts p.yaml
# v0.1 asks once more for a verdict, in the same conversation; v2 does not
serve nonsense
judge $V1 --baseline-answers gpt-4-0314.1.jsonl --output v1n.jsonl --json >counts 2>err
has counts '"bad_answers": 24, "given_up": 12'
judge $V2 --baseline-answers o3-mini-2025-01-31.2.jsonl,gemini-2.0-flash-001.2.jsonl --output v2n.jsonl --json >counts 2>err
has counts '"bad_answers": 12, "given_up": 12'
serve 400
judge $V2 --baseline-answers o3-mini-2025-01-31.2.jsonl,gemini-2.0-flash-001.2.jsonl --output v2n.jsonl 2>err
has v2n.jsonl '"games": [null, null]}'

# Nonsense: no preference, as in the package, or stop. Refusals of a question likewise; of the client they end the run.
serve nonsense
judge $A --output n.json --json >counts 2>err
is "$(preferences n.json)" "null null null null 1.5 null null null null null "
has counts '"bad_answers": 9, "given_up": 9'
has err '9 judgements have no verdict'
fails 1 'question [0-9]*: after 2 answers of the judge: .* (--on-bad-answer null goes on)' judge $A --output n2.json --on-bad-answer stop --answer-tries 2
[ ! -e n2.json ]
serve 400
judge $A --output n2.json 2>err
is "$(preferences n2.json)" "null null null null 1.5 null null null null null "
serve 401
K=secret-abc fails 1 'HTTP 401 after 1 try: .*no: Bearer \*\*\*' env K=secret-abc "$RAPT" eval judge --endpoint "$url" --endpoint-model m --api-key-env K $A --output n3.json
stop

J="$RAPT eval judge --output x.json --endpoint http://h/v1 --endpoint-model m"
fails 2 '--bench expects one of alpaca' $J
fails 2 '--bench expects one of alpaca.*; found x' $J --bench x
fails 2 '--bench alpaca expects --answers FILE' $J --bench alpaca
fails 2 '--bench alpaca expects --baseline-answers FILE' $J --bench alpaca --answers own.json
fails 2 '--baseline-answers expects one file' $J --bench alpaca --answers own.json --baseline-answers base.json,base.json
fails 2 '--questions has no effect with --bench alpaca' $J $A --questions x
fails 2 'expects --endpoint URL' "$RAPT" eval judge $A --output x.json
fails 2 'expects --endpoint-model NAME' "$RAPT" eval judge $A --output x.json --endpoint http://h/v1
fails 2 'give --cache FILE' "$RAPT" eval judge $A --output - --endpoint http://h/v1 --endpoint-model m
fails 2 '--json and --output - would both' "$RAPT" eval judge $A --output - --json --cache c --endpoint http://h/v1 --endpoint-model m
fails 2 'limit expects 0 to' $J $A --limit -1
fails 2 'is read by one token' $J $A --max-answer-tokens 2
fails 2 'concurrency expects 1 to 256' $J $A --concurrency 0
[ ! -e x.json ]
