#!/usr/bin/env bash
# rapt score --source judge against a real HTTP server (tests/server/judge_server.c) that is late, fails, drops connections, asks to wait and talks
# nonsense. Nothing is lost, and after kill -9 nothing that was answered is asked again: the server counts.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/cli/judge_lib.sh"
judge() { "$RAPT" score --source judge --endpoint "$url" --endpoint-model m --retry-wait 0.05 "$@"; }
scores() { grep -oE '"score(_chosen|_rejected)?": (null|-?[0-9.]+)' "$1" | sed 's/.*: //' | tr '\n' ' '; }

cat >few.jsonl <<'J'
{"prompt":"q1","responses":[{"text":"a SCORE=3","model":"m1"},{"text":"b SCORE=10"},"c SCORE=1"],"id":7}
{"prompt":[{"role":"system","content":"Be {response} brief."},{"role":"user","content":[{"type":"text","text":"q2 \"{b}\""}]}],"chosen":[{"role":"assistant","content":"SCORE=8"}],"rejected":[{"role":"assistant","content":"SCORE=2 {prompt}"}]}
{"prompt":"q3","completion":"SCORE=5"}
J

# Ratings, in order; another scale is asked for and mapped to.
serve fair
judge --input few.jsonl --output o.jsonl --json >counts 2>err
is "$(scores o.jsonl)" "3 10 1 8 2 5 "
has o.jsonl '"model": "m1", "score": 3}'
has o.jsonl '"id": 7'
has counts '"judge_asked": 6, "judge_cached": 0, "requests_sent": 6'
has counts '"prompt_tokens": 600, "completion_tokens": 6'
# Again: everything is in the cache, which holds no prompt; only the server's absence shows that nobody was asked.
is "$(count '"key"' o.jsonl.judge.jsonl)" 6
if grep -q 'SCORE' o.jsonl.judge.jsonl; then echo "the cache holds prompts"; exit 1; fi
asked=$(count answer log.txt)
judge --input few.jsonl --output o2.jsonl --cache o.jsonl.judge.jsonl --json --price-input 2.5 --price-output 10 >counts 2>err
cmp o.jsonl o2.jsonl
is "$(count answer log.txt)" "$asked"
has counts '"judge_cached": 6, "requests_sent": 0'
has counts '"cost_millionths": 0, "cost_cached_millionths": 1560'
judge --input few.jsonl --output o3.jsonl --score-range 0,10 --json --price-input 2.5 --price-output 10 --requests-per-minute 600 >counts 2>err
is "$(scores o3.jsonl)" "3 10 1 8 2 5 "
has counts '"cost_millionths": 1560, "cost_cached_millionths": 0'
# 600 a minute: six take half a second, less what the first is late. Without the limit they come within hundredths.
awk '/answer/ {t[n++] = $1} END {if (t[n - 1] - t[n - 6] < 0.35) {print "six in " t[n - 1] - t[n - 6]; exit 1}}' log.txt
# Weighted with log-probs: 3/4 on the number, 1/4 on the one below.
judge --input few.jsonl --output o.jsonl --cache w.jsonl --judge-logprobs --score-range 0,10 2>err
is "$(scores o.jsonl)" "2.75 9.75 0.75 7.75 1.75 4.75 "
# One question that comes twice is asked once.
cat few.jsonl few.jsonl >twice.jsonl
rm -f w.jsonl; asked=$(count answer log.txt)
judge --input twice.jsonl --output o.jsonl --cache w.jsonl 2>err
is "$(scores o.jsonl)" "3 10 1 8 2 5 3 10 1 8 2 5 "
is "$(($(count answer log.txt) - asked))" 6

# Pairwise: both orders of each two. Equal texts are not asked about; where the judge always takes the first it is a tie, and counted.
head -2 few.jsonl >two.jsonl
cat >>two.jsonl <<'J'
{"prompt":"q4 BIAS","chosen":"SCORE=3","rejected":"SCORE=9"}
{"prompt":"q5","chosen":"SCORE=3","rejected":"SCORE=3"}
J
judge --input two.jsonl --output o.jsonl --judge pairwise --json >counts 2>err
is "$(scores o.jsonl)" "5.5 10 1 10 1 5.5 5.5 5.5 5.5 "
has counts '"judge_asked": 10,'
has counts '"judge_orders_disagree": 1'
judge --input two.jsonl --output o.jsonl --cache w.jsonl --judge pairwise --score-range 0,4 --judge-logprobs 2>err
is "$(scores o.jsonl)" "2 3.5 0.5 3.5 0.5 2 2 2 2 "
# A prompt of one's own, and members of the request.
printf 'Text: {response}. Q: {prompt}. Up to {b}.\n' >p.txt
judge --input few.jsonl --output o.jsonl --cache w.jsonl --judge-prompt p.txt --request-extra '{"temperature": null, "top_p": 1, "model": "n"}' 2>err
is "$(scores o.jsonl)" "3 10 1 8 2 5 "
printf 'Text: {response}.' >p.txt
fails 1 'p.txt: a judge.s prompt needs the place {prompt}' judge --input few.jsonl --output o4.jsonl --judge-prompt p.txt

# Trouble of every kind, killed in the middle (-9), gone on with, and again. As if nothing had been.
for ((i = 0; i < 240; i++)); do echo "{\"prompt\":\"p$i\",\"responses\":[\"x$i SCORE=$((i % 10 + 1))\",\"y$i SCORE=$(((i + 5) % 10 + 1))\"]}"; done >many.jsonl
for ((i = 0; i < 240; i++)); do echo -n "$((i % 10 + 1)) $(((i + 5) % 10 + 1)) "; done >want
serve mixed
"$RAPT" score --source judge --endpoint "$url" --endpoint-model m --retry-wait 0.05 --input many.jsonl --output m.jsonl 2>err & # not the function: the kill is for rapt itself
pid=$!
for ((i = 0; i < 400; i++)); do [ "$(count '"key"' m.jsonl.judge.jsonl 2>/dev/null)" -ge 80 ] 2>/dev/null && break; sleep 0.02; done
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
[ ! -e m.jsonl ]
kept=$(count '"key"' m.jsonl.judge.jsonl)
[ "$kept" -ge 80 ] && [ "$kept" -lt 480 ] || { echo "$kept answers at the kill"; exit 1; }
sleep 0.3
before=$(grep -cE 'answer|nonsense' log.txt)
[ $((before - kept)) -le 8 ] || { echo "$before answers given, $kept kept"; exit 1; } # those under way
truncate -s -9 m.jsonl.judge.jsonl # as if the kill had torn a line
judge --input many.jsonl --output m.jsonl --json >counts 2>err
is "$(scores m.jsonl)" "$(cat want)"
has err 'the last line is torn'
nonsense=$(count nonsense log.txt); [ "$nonsense" -gt 5 ]
for what in failed dropped limited; do [ "$(count $what log.txt)" -gt 0 ] || { echo "no answer was $what"; exit 1; }; done
# Who was asked to wait a second did.
awk '$2 in until && $1 < until[$2] {print "too early: " $0; exit 1} $3 == "limited" {until[$2] = $1 + 0.95}' log.txt
# Asked again were only the answers under way at the kill, and the torn one.
twice=$(grep -E 'answer|nonsense' log.txt | cut -d' ' -f2 | sort | uniq -d | wc -l)
[ "$twice" -le $((before - kept + 1)) ] && [ "$twice" -ge 1 ] || { echo "$twice asked twice, $((before - kept)) were under way"; exit 1; }
after=$(wc -l <log.txt)
judge --input many.jsonl --output m2.jsonl --cache m.jsonl.judge.jsonl --json >counts 2>err
cmp m.jsonl m2.jsonl
is "$(wc -l <log.txt)" "$after"
has counts '"requests_sent": 0'
stop
[ "$(sed -n 's/.* most //p' log.txt)" -le 8 ] && [ "$(sed -n 's/.* most //p' log.txt)" -ge 4 ]

# Nonsense to the end: the run stops and says what was said, or the response is marked and counted.
serve nonsense
fails 1 'row of line [123]: after 2 answers of the judge: .* (--on-bad-answer null goes on)' judge --input few.jsonl --output n.jsonl --answer-tries 2
judge --input few.jsonl --output n.jsonl --answer-tries 2 --on-bad-answer null --json >counts 2>err
is "$(scores n.jsonl)" "null null null null null null "
is "$(grep -oE '"score_error(_chosen|_rejected)?": "the judge gave no answer that can be used"' n.jsonl | wc -l)" 6
has counts '"responses_unscored": 6,'
has counts '"judge_bad_answers": 12, "judge_given_up": 6'
# Such rows can be judged anew.
port=$(cat port)
serve fair "$port"
judge --input n.jsonl --output o.jsonl --cache w2.jsonl 2>err
is "$(scores o.jsonl)" "3 10 1 8 2 5 "
if grep -q score_error o.jsonl; then exit 1; fi
judge --input n.jsonl --output o.jsonl --cache n.jsonl.judge.jsonl --answer-tries 4 2>err # what is kept counts as asked
is "$(scores o.jsonl)" "3 10 1 8 2 5 "

# A server that says no, or nothing. What it repeats of the secret is not shown.
serve 500
fails 1 'HTTP 500 after 3 tries' judge --input few.jsonl --output e.jsonl --request-tries 3
has err 'the answers so far are in e.jsonl.judge.jsonl'
serve 401
K=secret-abc fails 1 'HTTP 401 after 1 try: .*no: Bearer \*\*\*' env K=secret-abc "$RAPT" score --source judge --endpoint "$url" --endpoint-model m --api-key-env K --input few.jsonl --output e.jsonl
serve 400
fails 1 'HTTP 400 after 1 try' judge --input few.jsonl --output e.jsonl
judge --input few.jsonl --output e.jsonl --on-bad-answer null 2>err
is "$(scores e.jsonl)" "null null null null null null "
# A no is an answer: it is kept and not asked for again.
has e.jsonl.judge.jsonl '"answer": {"rapt_refused": 400, "said": '
asked=$(wc -l <log.txt)
judge --input few.jsonl --output e1.jsonl --cache e.jsonl.judge.jsonl --on-bad-answer null --json >counts 2>err
cmp e.jsonl e1.jsonl
is "$(wc -l <log.txt)" "$asked"
has counts '"judge_cached": 6, "requests_sent": 0'
has counts '"judge_given_up": 6'
fails 1 'HTTP 400 before, which is in e.jsonl.judge.jsonl (without that line it is asked again)' judge --input few.jsonl --output e1.jsonl --cache e.jsonl.judge.jsonl
is "$(wc -l <log.txt)" "$asked"
port=$(cat port)
serve fair "$port" # who is sorry takes the line out
grep -v rapt_refused e.jsonl.judge.jsonl >cleared.jsonl
judge --input few.jsonl --output e1.jsonl --cache cleared.jsonl 2>err
is "$(scores e1.jsonl)" "3 10 1 8 2 5 "
serve long
fails 1 'HTTP 429, and to wait for 90000 seconds' judge --input few.jsonl --output e2.jsonl
serve huge
fails 1 'the answer is no JSON object' judge --input few.jsonl --output e2.jsonl --answer-tries 1
serve slow
fails 1 'after 2 tries' judge --input few.jsonl --output e3.jsonl --request-timeout 0.2 --request-tries 2
stop
fails 1 'after 2 tries' judge --input few.jsonl --output e3.jsonl --request-tries 2 # nobody listens
serve key
K=secret-abc judge --input few.jsonl --output k.jsonl --api-key-env K 2>err
OPENAI_API_KEY=secret-abc judge --input few.jsonl --output k2.jsonl 2>err2
cmp k.jsonl k2.jsonl
if grep -rl secret-abc . | grep -v port; then echo "the secret is on disk"; exit 1; fi
fails 1 'HTTP 401' judge --input few.jsonl --output k3.jsonl

# The cache file
echo '{"prompt": "x"}' >foreign.jsonl
fails 1 'foreign.jsonl:1: not a cache of rapt' judge --input few.jsonl --output c.jsonl --cache foreign.jsonl
is "$(cat foreign.jsonl)" '{"prompt": "x"}'
printf '{"rapt_cache": 1}\n{"key": "x"}\n' >broken.jsonl
fails 1 'broken.jsonl:2: expected {"key": 32 hex digits' judge --input few.jsonl --output c.jsonl --cache broken.jsonl

# Rows and usage
echo '{"prompt":"q","completion":"a"}' >one.jsonl
fails 1 'one.jsonl:1: the judge compares, and the row has one response' judge --input one.jsonl --output c.jsonl --judge pairwise
echo '{"chosen_ids":[1],"rejected_ids":[2],"prompt_ids":[3]}' >ids.jsonl
fails 1 'the row holds token ids' judge --input ids.jsonl --output c.jsonl
S="$RAPT score --input few.jsonl --output c.jsonl --source judge"
fails 2 'expects --endpoint URL, or --model M' $S
fails 2 'expects --endpoint URL, or --model M' $S --endpoint http://h --model m
fails 2 'expects --endpoint-model NAME' $S --endpoint http://h
fails 2 'cache has no effect without --endpoint' $S --model m --cache c
fails 2 'dtype has no effect with --endpoint' $S --endpoint http://h --endpoint-model m --dtype f32
fails 2 'must not hold a user or a password' $S --endpoint http://u:p@h/v1 --endpoint-model m
fails 2 'begins with http:// or https://' $S --endpoint ftp://h/v1 --endpoint-model m
fails 2 'no environment variable NOT_THERE' $S --endpoint http://h/v1 --endpoint-model m --api-key-env NOT_THERE
K=$'a\nb' fails 2 'a byte that no header may hold' $S --endpoint http://h/v1 --endpoint-model m --api-key-env K
fails 2 'whole numbers at most 100 apart' $S --endpoint http://h/v1 --endpoint-model m --score-range 0,0.5
fails 2 'within 0,10' $S --endpoint http://h/v1 --endpoint-model m --score-range 1,20 --judge-logprobs
fails 2 'request-extra' $S --endpoint http://h/v1 --endpoint-model m --request-extra '{'
fails 2 'request-extra expects an object' $S --endpoint http://h/v1 --endpoint-model m --request-extra '[]'
fails 2 'give --cache FILE' "$RAPT" score --input few.jsonl --output - --source judge --endpoint http://h/v1 --endpoint-model m
fails 2 'concurrency expects 1 to 256' $S --endpoint http://h/v1 --endpoint-model m --concurrency 0
fails 2 'no effect with --source judge' $S --endpoint http://h/v1 --endpoint-model m --beta 1
[ ! -e c.jsonl ]
