#!/usr/bin/env bash
# rapt score: columns, rules, models, quantile maps. The expected numbers were worked out by hand, or are those of tests/oracle/make_scores.py.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
scored() { "$RAPT" score --output - "$@" 2>err; } # rows on stdout
scores() { grep -oE '"score(_chosen|_rejected)?": (null|-?[0-9.]+)' | sed 's/.*: //' | tr '\n' ' '; }
check() { # expected scores, options...
  local want=$1 got
  shift
  got=$(scored "$@" | scores)
  [ "$got" = "$want " ] || { echo "scores $got, want $want: $*"; cat err; exit 1; }
}

# Rules. The response's other members and the row's fields ride along; pairs and completions stay as they are.
cat >rule.jsonl <<'E'
{"prompt":"q1","responses":[{"text":"I think 3 + 4 is 7.","model":"m1"},{"text":"It is $1,234.","note":null},"none"],"answer":"so\n#### 1,234","id":"x"}
{"prompt":[{"role":"user","content":"q2"}],"chosen":[{"role":"assistant","content":"#### 12 and 13"}],"rejected":[{"role":"assistant","content":[{"type":"text","text":"{\"a\": 1}"}]}],"answer":12,"extra":[1, 2]}
{"prompt":"q3","completion":"the final answer: -5.00","answer":"-5.00"}
E
scored --input rule.jsonl --source rule --rule gsm8k >got
cat >want <<'E'
{"prompt": "q1", "responses": [{"text": "I think 3 + 4 is 7.", "model": "m1", "score": 1}, {"text": "It is $1,234.", "note": null, "score": 10}, {"text": "none", "score": 1}], "answer": "so\n#### 1,234", "id": "x"}
{"prompt": [{"role":"user","content":"q2"}], "chosen": [{"role":"assistant","content":"#### 12 and 13"}], "rejected": [{"role":"assistant","content":[{"type":"text","text":"{\"a\": 1}"}]}], "answer": 12, "extra": [1, 2], "score_chosen": 1, "score_rejected": 1}
{"prompt": "q3", "completion": "the final answer: -5.00", "answer": "-5.00", "score": 10}
E
diff want got
grep -q 'responses scored  *6$' err
grep -q 'scores at the lowest of the range  *4$' err
check '0 0 0 4 0 0' --input rule.jsonl --source rule --rule gsm8k --extract strict --score-range 0,4
check '1 1 1 1 10 1' --input rule.jsonl --source rule --rule json
check '1 1 1 10 1 1' --input rule.jsonl --source rule --rule regex --pattern '\b1\d\b'
# 7, 3, 1; 4, 2; 4 words: 1 + 9 (1 - |words - 7| / 7)
check '10 4.86 2.29 6.14 3.57 6.14' --input rule.jsonl --source rule --rule length --length 7
check '10 5 2.5 6 3.5 6' --input rule.jsonl --source rule --rule length --length 7 --quantize 0.5
# 19, 13, 4; 14, 8; 23 characters
check '1.9 7.3 4.6 6.4 8.2 1' --input rule.jsonl --source rule --rule length --length 10 --unit characters
echo '{"prompt":"q","responses":["ééé","𝄞"," {\"a\": [1, {}]}\n","{\"a\": 1} x"]}' >texts.jsonl
check '10 4 1 1' --input texts.jsonl --source rule --rule length --length 3 --unit characters
check '1 1 10 1' --input texts.jsonl --source rule --rule json
"$RAPT" score --input - --output o.jsonl --source rule --rule json --json <rule.jsonl 2>/dev/null >got
echo '{"rows_read": 3, "rows_skipped": 0, "rows_written": 3, "responses_scored": 6, "responses_unscored": 0, "scores_replaced": 0, "scores_at_lowest": 5, "scores_at_highest": 1}' | diff - got
scored --input rule.jsonl --source rule --rule json | diff - o.jsonl

# Columns: UltraFeedback's ratings; a part without a number leaves no score. What was there goes only with --overwrite.
cat >uf.jsonl <<'E'
{"source":"s","instruction":"q","completions":[{"model":"m","response":"a","overall_score":8,"annotations":{"helpfulness":{"Rating":"4"},"honesty":{"Rating":"5"}}},{"response":"b","overall_score":"3","annotations":{"helpfulness":{"Rating":"2"},"honesty":{"Rating":"N/A"}}},{"response":"c","overall_score":7,"fine-grained_score":3.5}]}
E
C="--input uf.jsonl --source column --overwrite"
fails 2 'uf.jsonl:1: the row has scores already; --overwrite replaces them' "$RAPT" score --input uf.jsonl --output o2.jsonl --source column --column fine-mean
[ ! -e o2.jsonl ]
check '4.5 2 3.5' $C --column fine-mean
grep -q 'scores replaced  *3$' err
check '8 3 7' $C --column score
check '8 3 7' $C --column overall_score
sed 's/,{"response":"c".*}]/]/' uf.jsonl >two.jsonl
check '3.25 null' --input two.jsonl --source column --overwrite --weights helpfulness=0.5,honesty=0.25
grep -q 'responses left without a score: the source has none  *1$' err
check '4 2' --input two.jsonl --source column --overwrite --column annotations.helpfulness.Rating
scored $C --column fine-mean >s.jsonl
has s.jsonl '{"prompt": "q", "responses": [{"text": "a", "model": "m", "overall_score": 8, "annotations": {"helpfulness":{"Rating":"4"},"honesty":{"Rating":"5"}}, "score": 4.5}, {"text": "b"'
has s.jsonl '"source": "s"}'
# what comes out goes in: into pair, whose paper rule still sees ratings of N/A
"$RAPT" pair --input s.jsonl --output p.jsonl --rule paper --json 2>/dev/null | seen '"dropped_na": 1,.*"pairs_written": 1}'
has p.jsonl '"chosen": "a", "rejected": "c", "score_chosen": 4.5, "score_rejected": 3.5, "avg_fine_score_chosen": 4.5, "avg_fine_score_rejected": 3.5'
check '4.5 2 3.5' --input s.jsonl --source column --overwrite --column fine-mean
# HelpSteer2's weights (0.65 + 3.2 + 1.8 + 1.1 - 0.4; 1.95 + 1.6 + 1.8 + 1.1 - 0.4); adjacent rows are one prompt's
cat >hs.jsonl <<'E'
{"prompt":"q1","response":"a","helpfulness":1,"correctness":4,"coherence":4,"complexity":2,"verbosity":1}
{"prompt":"q1","response":"b","helpfulness":3,"correctness":2,"coherence":4,"complexity":2,"verbosity":1}
E
W=helpfulness=0.65,correctness=0.8,coherence=0.45,complexity=0.55,verbosity=-0.4
scored --input hs.jsonl --source column --overwrite --weights $W >got
cat >want <<'E'
{"prompt": [{"role":"user","content":"q1"}], "responses": [{"messages": [{"role":"assistant","content":"a"}], "helpfulness": 1, "correctness": 4, "coherence": 4, "complexity": 2, "verbosity": 1, "score": 6.35}, {"messages": [{"role":"assistant","content":"b"}], "helpfulness": 3, "correctness": 2, "coherence": 4, "complexity": 2, "verbosity": 1, "score": 6.05}]}
E
diff want got
check '6.35 6.05' --input got --source column --overwrite --weights $W
# what generate writes: adjacent rows of one prompt; what differs between them belongs to the response
cat >samples.jsonl <<'E'
{"prompt": "q1", "goal": 10, "sample": 0, "text": "{}", "tokens": 1, "finish": "stop", "row": 0, "model": "m", "adapter": null}
{"prompt": "q1", "goal": 10, "sample": 1, "text": "no", "tokens": 2, "finish": "stop", "row": 0, "model": "m", "adapter": null}
{"prompt": "q2", "goal": null, "sample": 0, "text": "[1]", "tokens": 3, "finish": "length", "row": 1, "model": "m", "adapter": null}
E
scored --input samples.jsonl --source rule --rule json >got
cat >want <<'E'
{"prompt": "q1", "responses": [{"text": "{}", "goal": 10, "sample": 0, "tokens": 1, "score": 10}, {"text": "no", "goal": 10, "sample": 1, "tokens": 2, "score": 1}], "finish": "stop", "row": 0, "model": "m", "adapter": null}
{"prompt": "q2", "responses": [{"text": "[1]", "goal": null, "sample": 0, "score": 10}], "tokens": 3, "finish": "length", "row": 1, "model": "m", "adapter": null}
E
diff want got
"$RAPT" pair --input got --output - --rule best-worst 2>/dev/null >got2
echo '{"prompt": "q1", "chosen": "{}", "rejected": "no", "score_chosen": 10, "score_rejected": 1, "finish": "stop", "row": 0, "model": "m", "adapter": null}' | diff - got2
# ranks are no scores yet: the best 10, the last 1
echo '{"prompt":"\n\nHuman: q2\n\nAssistant: ","answers":[{"answer":"c","rank":3.0},{"answer":"d","rank":1.0},{"answer":"e","rank":2.0}],"turns":1}' >nectar.jsonl
check '1 10 5.5' --input nectar.jsonl --source column --column rank
# lists of the row, and pairs by their data sets' names, which go with the old scores
echo '{"prompt":"q","all_generated_responses":["a","b"],"all_rm_scores":[0.5,0.25],"chosen":"a","rejected":"b","id":7}' >best.jsonl
scored --input best.jsonl --source column --overwrite --column all_rm_scores --quantize 0 >got
echo '{"prompt": "q", "responses": [{"text": "a", "score": 0.5}, {"text": "b", "score": 0.25}], "id": 7}' | diff - got
echo '{"prompt":"q","chosen":"a","rejected":"b","overall_score_chosen":8,"overall_score_rejected":4.126,"fine_grain_score_chosen":{"help":4,"honest":2},"fine_grain_score_rejected":{"help":1,"honest":3}}' >paper.jsonl
scored --input paper.jsonl --source column --overwrite --column overall_score >got
echo '{"prompt": "q", "chosen": "a", "rejected": "b", "fine_grain_score_chosen": {"help":4,"honest":2}, "fine_grain_score_rejected": {"help":1,"honest":3}, "score_chosen": 8, "score_rejected": 4.13}' | diff - got
check '8 4.126' --input paper.jsonl --source column --overwrite --column overall_score --quantize 0
check '5 2.5' --input paper.jsonl --source column --overwrite --weights help=1,honest=0.5
echo '{"prompt":"q","chosen":"a","rejected":"b","chosen-rating":4.5,"rejected-rating":2}' >argilla.jsonl
check '4.5 2' --input argilla.jsonl --source column --overwrite --column rating
echo '{"prompt":"q","chosen":"a","rejected":"b","s1":4,"s2":2}' >own.jsonl
fails 2 'has scores already' "$RAPT" score --input own.jsonl --output - --source rule --rule json --field score_chosen=s1 --field score_rejected=s2
check '4 2' --input own.jsonl --source column --column score --overwrite --field score_chosen=s1 --field score_rejected=s2

# Models. Their numbers are compared in tests/unit/test_reward_models.c; here the rows, the names and the scales.
G=$tests/golden
M="--dtype f32 --threads 1"
# transformers: 0.94127, 1.45532, -2.36623; 0.71957, -0.34753; 0.60847; 0.01784 twice, 0.94127; 0.61088, -1.75682
REWARDS='0.94 1.46 -2.37 0.72 -0.35 0.61 0.02 0.02 0.94 0.61 -1.76'
check "$REWARDS" --input "$G/score/rows.jsonl" --source reward-model --model "$G/reward_tiny" $M
check "$REWARDS" --input "$G/score/rows.jsonl" --source reward-model --model "$G/reward_tiny" $M --micro-batch-tokens 64
check '0.24 0.37 -1.83 1.2 -0.36 -0.46 -0.17 -0.17 0.24 0.5 -1.06' --input "$G/score/rows.jsonl" --source reward-model --model "$G/reward_tiny" --adapter "$G/reward_tiny_lora" $M
head -2 "$G/score/rows.jsonl" >few.jsonl
scored --input few.jsonl --source reward-model --model "$G/score_multi" $M >got
grep -oE '"scores": \{[^}]*\}' got | head -1 | seen -E '"helpful": 0\.9324[0-9]*, "correct": -1\.3610[0-9]*, "brief": 1\.1054[0-9]*\}$'
grep -oE '"scores_chosen": \{.*' got | seen -E '^"scores_chosen": \{"helpful": 3\.509[0-9]*, "correct": 0\.3946[0-9]*, "brief": -0\.3644[0-9]*\}, "score_rejected": 2\.62, "scores_rejected": \{"helpful": 2\.619'
[ "$(scores <got)" = '0.93 -0.46 1.39 3.51 2.62 ' ]
# 2 x correct - 0.5 x brief of the numbers above: -2.7222 - 0.5527; -0.1504 + 0.4720; -2.5708 + 0.2457; 0.7892 + 0.1822; 3.2981 - 0.0851
check '-3.27 0.32 -2.33 0.97 3.21' --input few.jsonl --source reward-model --model "$G/score_multi" $M --weights correct=2,brief=-0.5
scored --input few.jsonl --source reward-model --model "$G/score_multi" $M --attributes a,b,c | seen '"scores": {"a": 0.9324[0-9]*, "b": '
# scored again: the old attributes go too
scored --input few.jsonl --source reward-model --model "$G/score_multi" $M >again.jsonl
scored --input again.jsonl --source reward-model --model "$G/reward_tiny" $M --overwrite >got
scored --input few.jsonl --source reward-model --model "$G/reward_tiny" $M | diff - got
# ArmoRM: gated scores 1.2164, 2.3460; 0.7299, 0.6798
check '1.22 2.35 0.73 0.68' --input "$G/score/chat.jsonl" --source reward-model --model "$G/score_armo" $M
# implicit rewards in order: -29.49 -13.06 -11.95 -11.95 -10.33 3.34 3.97 5.36 5.36 10.40 22.01: of equal ones the middle of their places
IMPLICIT="--source implicit --model $G/llama_tiny --adapter $G/llama_tiny_lora $M"
check '0.54 0.4 0.33 -1.31 1.04 -1.03 -1.2 -1.2 0.54 2.2 -2.95' --input "$G/score/rows.jsonl" $IMPLICIT --scale raw
check '5.36 3.97 3.34 -13.06 10.4 -10.33 -11.95 -11.95 5.36 22.01 -29.49' --input "$G/score/rows.jsonl" $IMPLICIT --scale raw --beta 1
"$RAPT" score --input "$G/score/rows.jsonl" --output im.jsonl $IMPLICIT --json 2>/dev/null | seen '"responses_scored": 11,.*"scores_at_lowest": 1, "scores_at_highest": 1}'
# place / 10: 7.5 6 5 1 9 4 2.5 2.5 7.5 10 0; times 9, plus 1
[ "$(scores <im.jsonl)" = '7.75 6.4 5.5 1.9 9.1 4.6 3.25 3.25 7.75 10 1 ' ]
has im.jsonl.map.json '{"source": "implicit, beta 0.1", "low": 1, "high": 10, "made_of": 11, "quantiles": [-2.949'
# the map again: the same scores for the same rows, alone or from a pipe
check '7.75 6.4 5.5 1.9 9.1' --input few.jsonl $IMPLICIT --map im.jsonl.map.json
[ "$("$RAPT" score --input - --output - $IMPLICIT --map im.jsonl.map.json <few.jsonl 2>/dev/null | scores)" = '7.75 6.4 5.5 1.9 9.1 ' ]
fails 1 "the map is for 'implicit, beta 0.1', and the numbers are 'implicit, beta 0.2'" "$RAPT" score --input few.jsonl --output - $IMPLICIT --map im.jsonl.map.json --beta 0.2
fails 1 "the map is for 'implicit" "$RAPT" score --input few.jsonl --output - --source reward-model --model "$G/reward_tiny" --map im.jsonl.map.json
# A policy that was trained from an adapter is held against that: at a rate of 1e-12 nothing moves, and all is 0. Its rewards are those of metrics.jsonl.
head -4 "$G/trl/train.jsonl" >four.jsonl
T="$RAPT train --model $G/llama_tiny --dtype f32 --threads 1 --per-device-train-batch-size 4 --lr-scheduler-type constant --warmup-ratio 0 --logging-steps 1"
$T --train-data four.jsonl --max-steps 2 --learning-rate 0.01 --output-dir start >/dev/null 2>&1
$T --adapter start --train-data four.jsonl --max-steps 1 --learning-rate 1e-12 --output-dir still >/dev/null 2>&1
$T --adapter start --train-data four.jsonl --max-steps 2 --learning-rate 0.01 --save-steps 1 --output-dir moved >/dev/null 2>&1
I="--input four.jsonl --overwrite --source implicit --scale raw --quantize 0 --model $G/llama_tiny $M"
near() { # wanted mean of the chosen ones, of the rejected ones, by how much off at most; scores on stdin
  tr ' ' '\n' | awk -v w="$1" -v l="$2" -v most="$3" 'NF { s[n++ % 2] += $1 } END { d = s[0] * 2 / n - w; e = s[1] * 2 / n - l; if (n != 8 || d * d > most * most || e * e > most * most) { print n, s[0] * 2 / n, s[1] * 2 / n, "want", w, l; exit 1 } }'
}
scored $I --adapter still | scores >at; tr ' ' '\n' <at | awk 'NF && $1 * $1 > 1e-10 { print; exit 1 }'
near 0 0 1e-5 <at
has err 'still: the reference is start, which it was trained from'
metric() { sed -n "${2}p" moved/metrics.jsonl | grep -oE "\"rewards/$1\": [-0-9.e]+" | sed 's/.*: //'; }
awk -v r="$(metric chosen 2)" 'BEGIN { exit r * r < 1e-6 }' # it did move
scored $I --adapter moved/checkpoint-1 | scores | near "$(metric chosen 2)" "$(metric rejected 2)" 1e-5 # the manifest stands a folder higher
scored $I --adapter moved/checkpoint-1/ --reference-adapter start | scores | near "$(metric chosen 2)" "$(metric rejected 2)" 1e-5
# against the model alone, on request: start's own rewards, as start is not far from itself
scored $I --adapter still --reference-adapter none | scores >apart
scored $I --adapter start | scores | paste -d' ' <(tr ' ' '\n') <(tr ' ' '\n' <apart) | awk 'NF == 2 { n++; d = $1 - $2; if (d * d > 1e-10 || $1 * $1 < 1e-8) exit 1 } END { exit n != 8 }'
scored $I --adapter start --reference-adapter still | scores | near 0 0 1e-5
# maps for one reference are not for the other
"$RAPT" score ${I/--scale raw/} --adapter still --output mapped.jsonl 2>/dev/null
has mapped.jsonl.map.json '"implicit, beta 0.1, against an adapter"'
fails 1 "the map is for 'implicit, beta 0.1, against an adapter', and the numbers are 'implicit, beta 0.1'" "$RAPT" score ${I/--scale raw/} --adapter still --reference-adapter none --map mapped.jsonl.map.json --output o4.jsonl
# what cannot be known is asked for
mv start gone
fails 2 'still was trained from the adapter start, which is not there' "$RAPT" score $I --adapter still --output o4.jsonl
scored $I --adapter still --reference-adapter gone | scores | near 0 0 1e-5
mkdir bare && cp still/adapter_* bare
scored $I --adapter bare >/dev/null
has err 'bare: no manifest.json says what it was trained from; the reference is'
cp -r still follows && sed -i 's/"sync-ref-model": false/"sync-ref-model": true/' follows/manifest.json
fails 2 'follows was trained with --sync-ref-model' "$RAPT" score $I --adapter follows --output o4.jsonl
cp -r still given && sed -i 's/"ref-logps": null/"ref-logps": "before.jsonl"/' given/manifest.json
scored $I --adapter given --reference-adapter gone >/dev/null
if grep -q ref-logps err; then cat err; exit 1; fi
cp -r gone start && scored $I --adapter given | scores | near 0 0 1e-5 && rm -r start
has err 'given: its --ref-logps before.jsonl are taken as of what it was trained from'
cp -r still broken && echo '{"options": {"model": 3}}' >broken/manifest.json
fails 1 'broken/manifest.json: options.model and options.adapter' "$RAPT" score $I --adapter broken --output o4.jsonl
# a fully trained policy against the model that it was trained from, and against no other
$T --full --train-data four.jsonl --max-steps 2 --learning-rate 0.001 --save-steps 1 --output-dir full >/dev/null 2>&1
full() { sed -n 2p full/metrics.jsonl | grep -oE "\"rewards/$1\": [-0-9.e]+" | sed 's/.*: //'; }
scored $I --adapter full >/dev/null
$T --full --train-data four.jsonl --max-steps 1 --learning-rate 0.001 --output-dir once >/dev/null 2>&1
scored $I --adapter once | scores | near "$(full chosen)" "$(full rejected)" 1e-5
scored $I --adapter once --reference-adapter once | scores | near 0 0 1e-5
mkdir other && cp full/*.json full/*.safetensors other
fails 1 'once was trained from .*llama_tiny, which is another model than other' "$RAPT" score ${I/"$G/llama_tiny"/other} --adapter once --output o4.jsonl
fails 1 'have different tokenizers' "$RAPT" score $I --adapter once --reference-adapter "$G/score_chat" --output o4.jsonl
fails 2 'reference-adapter has no effect with --source self' "$RAPT" score --input four.jsonl --output o4.jsonl --source self --model x --reference-adapter none
# rewards in order: -2.37 -0.35 0.72 0.94 1.46
"$RAPT" score --input few.jsonl --output q.jsonl --source reward-model --model "$G/reward_tiny" $M --scale quantiles --score-range 0,4 2>/dev/null
[ "$(scores <q.jsonl)" = '3 4 0 2 1 ' ]
# rows that are skipped are skipped both times; few.jsonl's others keep their scores
{ head -1 few.jsonl; echo '{"prompt":"only"}'; echo broken; echo '{"prompt":"one","responses":["two",""," "]}'; tail -1 few.jsonl; } >holes.jsonl
sed -i 's/,""," "\]/,"'"$(printf 'the cat %.0s' {1..80})"'"]/' holes.jsonl
"$RAPT" score --input holes.jsonl --output h.jsonl --source reward-model --model "$G/reward_tiny" $M --scale quantiles --score-range 0,4 --on-bad-row skip --json 2>/dev/null | seen '"rows_read": 5, "rows_skipped": 3, "rows_written": 2,'
diff q.jsonl h.jsonl
sed -n 2,4p holes.jsonl | diff - h.jsonl.rejected.jsonl
fails 1 'holes.jsonl:2: expected a row with responses' "$RAPT" score --input holes.jsonl --output h2.jsonl --source reward-model --model "$G/reward_tiny"
sed -n 4p holes.jsonl >long.jsonl
fails 1 "long.jsonl:1: response 2: .* tokens with its prompt, more than the model's 128 positions" "$RAPT" score --input long.jsonl --output - --source reward-model --model "$G/reward_tiny"
fails 1 'response 1: .* tokens with its prompt; raise --micro-batch-tokens (16)' "$RAPT" score --input "$G/score/chat.jsonl" --output - --source reward-model --model "$G/score_armo" --micro-batch-tokens 16
fails 1 'chat.jsonl:1: the row is a conversation, but the tokenizer has no chat template' "$RAPT" score --input "$G/score/chat.jsonl" --output - $IMPLICIT --scale raw
fails 1 "has no assistant's turn as the model's gate looks for it" "$RAPT" score --input few.jsonl --output - --source reward-model --model "$G/score_armo"
fails 1 'language model, not a reward model' "$RAPT" score --input few.jsonl --output - --source reward-model --model "$G/llama_tiny"
fails 1 'reward model: it has no next tokens' "$RAPT" score --input few.jsonl --output - --source implicit --scale raw --model "$G/reward_tiny" --adapter "$G/reward_tiny_lora"
# a head trained here
"$RAPT" train --objective reward --model "$G/llama_tiny" --train-data "$G/trl/train.jsonl" --output-dir head --max-steps 3 --per-device-train-batch-size 2 --dtype f32 --threads 1 --seed 3 >/dev/null 2>&1
scored --input few.jsonl --source reward-model --model "$G/llama_tiny" --adapter head $M --quantize 0 >trained.jsonl
"$RAPT" export --model "$G/llama_tiny" --adapter head --format hf --output merged >/dev/null 2>&1
scored --input few.jsonl --source reward-model --model merged $M --quantize 0 >merged.jsonl
paste -d' ' <(scores <trained.jsonl | tr ' ' '\n') <(scores <merged.jsonl | tr ' ' '\n') | awk 'NF==2 { n++; if (($1-$2)^2 > 1e-10 || $1 == last) exit 1; last = $1 } END { exit n != 5 }'

# Rows that cannot be scored
cat >bad.jsonl <<'E'
{"prompt":"q","responses":["a","b"]}
{"prompt":"only"}
{"prompt":"q","responses":[{"text":"a","x":1},{"text":"b","x":"high"}]}
{"prompt":"q","responses":[{"text":"a","x":1},{"text":"b","x":2}]}
{"prompt":"q","chosen":"a","rejected":"b"}
E
fails 1 'bad.jsonl:1: response 1 has no x: neither a member' "$RAPT" score --input bad.jsonl --output o3.jsonl --source column --column x
[ ! -e o3.jsonl ]
"$RAPT" score --input bad.jsonl --output o3.jsonl --source column --column x --on-bad-row skip --json 2>/dev/null | seen '"rows_read": 5, "rows_skipped": 4, "rows_written": 1,'
echo '{"prompt": "q", "responses": [{"text": "a", "x": 1, "score": 1}, {"text": "b", "x": 2, "score": 2}]}' | diff - o3.jsonl
sed 4d bad.jsonl | diff - o3.jsonl.rejected.jsonl
sed -n 2p bad.jsonl >one.jsonl
fails 1 'one.jsonl:1: expected a row with responses' "$RAPT" score --input one.jsonl --output - --source rule --rule json
sed -n 3p bad.jsonl >one.jsonl
fails 1 'one.jsonl:1: field x of response 2: expected a finite number, found "high"' "$RAPT" score --input one.jsonl --output - --source column --column x
sed -n 5p bad.jsonl >one.jsonl
fails 1 'one.jsonl:1: no x of the chosen response: expected x_chosen, chosen_x' "$RAPT" score --input one.jsonl --output - --source column --column x
fails 1 'bad.jsonl:1: field answer: expected the right answer' "$RAPT" score --input bad.jsonl --output - --source rule --rule gsm8k
echo '{"prompt":"q","responses":["a"],"answer":"#### ."}' >one.jsonl
fails 1 'one.jsonl:1: field answer: the answer is empty' "$RAPT" score --input one.jsonl --output - --source rule --rule gsm8k
echo '{"prompt":"q","responses":["a"],"solution":7}' >one.jsonl
check '1' --input one.jsonl --source rule --rule gsm8k --answer-field solution
echo '{"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[3]}' >ids.jsonl
fails 1 'ids.jsonl:1: the row holds token ids' "$RAPT" score --input ids.jsonl --output - --source rule --rule json
printf '{"prompt":"q","responses":["%s!"]}\n' "$(head -c 100 /dev/zero | tr '\0' a)" >slow.jsonl
fails 1 'slow.jsonl:1: pattern gave up' "$RAPT" score --input slow.jsonl --output - --source rule --rule regex --pattern '(*LIMIT_MATCH=1000)^(a+)+$'

# A command of one's own: one process a batch, a line of JSON in, a number out.
cat >judge.sh <<'E'
echo started >>starts
while IFS= read -r line; do
  case "$line" in
    '{"prompt": "q1", "response": '*'"row": {"prompt":"q1"'*) echo 1 ;;
    '{"prompt": [{"role":"user","content":"q2"}], "response": "#### 12 and 13", '*) echo 0.25 ;;
    *'"response": "the final answer: -5.00"'*) echo null ;;
    *) echo 0 ;;
  esac
done
E
cmd() { check "$1" --input rule.jsonl --source rule --rule command --command "${@:2}"; }
cmd '10 10 10 3.25 1 null' 'bash judge.sh'
[ "$(wc -l <starts)" = 1 ]
cmd '10 10 10 3.25 1 null' 'bash judge.sh' --command-batch 4
[ "$(wc -l <starts)" = 3 ]
cmd '5 5 5 5 5 5' 'sed "s/.*/0.5/"' --score-range 0,10
# what it reads is one line of JSON with the whole row, whatever the row holds
printf '{"prompt":"a\\n\\"b","completion":"\\u0000\\n"}\n' >odd.jsonl
check 10 --input odd.jsonl --source rule --rule command --command 'cat >seen; echo 1'
echo '{"prompt": "a\n\"b", "response": "\u0000\n", "row": {"prompt":"a\n\"b","completion":"\u0000\n"}}' | diff - seen
X="$RAPT score --input rule.jsonl --output no.jsonl --source rule --rule command --command"
fails 1 'echo no >&2; exit 3 ended with code 3: no$' $X 'echo no >&2; exit 3'
fails 1 'was ended by signal 9' $X 'kill -9 $$'
fails 1 'nothing-of-this-name.* ended with code 127' $X nothing-of-this-name
fails 1 '2 lines of output for 6 responses' $X 'echo 1; echo 1'
fails 1 'line 2 of its output (a response of the row of line 1): expected a number from 0 to 1 or null, found .1.5.' $X 'echo 1; echo 1.5; cat >/dev/null'
fails 1 'expected a number from 0 to 1 or null, found' $X cat
fails 1 'more lines of output than the 6 responses' $X 'yes 1 | head -7'
fails 1 'more output than a number for each of 6' $X 'yes 1'
start=$SECONDS
fails 1 'did not end in time and was stopped' $X 'sleep 60 & sleep 60' --command-timeout 0.3
fails 1 'did not end in time and was stopped' $X 'yes 1 | head -6; exec >&- 2>&-; sleep 60' --command-timeout 0.3
[ $((SECONDS - start)) -lt 30 ]
[ ! -e no.jsonl ]

# Models: a judge in this process, the policy about itself, two policies that score each other's half. Numbers are those of
# tests/oracle/make_judges.py, mapped to 1 .. 10 and rounded.
J="--input $G/judge/rows.jsonl --dtype f32 --model $G/score_chat"
check '4 3 4 8 7 7 3 7 7' $J --source judge --judge-prompt "$G/judge/rating.txt"
check '3.89 3.37 4.58 5.6 6.49 5.45 4.43 5.9 5.39' $J --source judge --judge-prompt "$G/judge/rating.txt" --judge-logprobs
grep -q 'questions to the judge  *9$' err
check '4 4 4 3 5 5 2 2 4' $J --source self --adapter "$G/score_chat_lora"
check '3.06 3.02 3.05 3.09 3.03 3.08 2.97 2.88 3.04' $J --source self --adapter "$G/score_chat_lora" --self-read expected --per-token
# a row that is too long leaves nothing behind, whatever of it was taken before
long=$(head -c 1100 /dev/zero | tr '\0' x)
{ head -1 "$G/judge/rows.jsonl"; echo "{\"prompt\":\"q\",\"responses\":[\"a\",\"$long\"]}"; tail -n +2 "$G/judge/rows.jsonl"; } >long.jsonl
L="--input long.jsonl --dtype f32 --model $G/score_chat --on-bad-row skip"
check '4 3 4 8 7 7 3 7 7' $L --source judge --judge-prompt "$G/judge/rating.txt"
grep -q 'questions to the judge  *9$' err
grep -q 'bad rows skipped  *1$' err
check '4 4 4 3 5 5 2 2 4' $L --source self --adapter "$G/score_chat_lora"
echo '{"prompt":"","completion":"a"}' >empty.jsonl
fails 1 'empty.jsonl:1: field prompt: the row has none' "$RAPT" score --input empty.jsonl --output - --source self --model "$G/score_chat" --adapter "$G/score_chat_lora"
"$RAPT" score --input "$G/judge/lines.jsonl" --output cross.jsonl --source implicit --dtype f32 --model "$G/score_chat" --cross-fit "$G/score_chat_lora,$G/score_chat_lora2" 2>err
has cross.jsonl.map.json 'implicit, beta 0.1, cross-fitted'
for fold in 1 2; do
  "$RAPT" augment --input "$G/judge/lines.jsonl" --output fold$fold.jsonl --mode plain --fold $fold/2 2>err
  grep -q 'rows left out: their prompts are of other folds' err
done
[ "$(cat fold1.jsonl fold2.jsonl | wc -l)" = 12 ]
[ "$(sort fold1.jsonl fold2.jsonl | uniq -d | wc -l)" = 0 ]
fails 2 'fold expects I/N' "$RAPT" augment --input "$G/judge/lines.jsonl" --output - --mode plain --fold 3/2
fails 2 'fold expects I/N' "$RAPT" augment --input "$G/judge/lines.jsonl" --output - --mode plain --fold 1/2x
echo '{"prompt":"q","goal":5,"goal_of":"chosen","chosen":"a","rejected":"b"}' >asked.jsonl
fails 1 'asked.jsonl:1: field goal: the row.s prompt asks for a goal' "$RAPT" score --input asked.jsonl --output - --source self --model "$G/score_chat" --adapter "$G/score_chat_lora"
fails 1 'asked.jsonl:1: field goal: the row.s prompt asks for a goal' "$RAPT" score --input asked.jsonl --output a.jsonl --source implicit --model "$G/score_chat" --cross-fit "$G/score_chat_lora,$G/score_chat_lora2"
fails 1 'no goal.json' "$RAPT" score --input rule.jsonl --output - --source self --model "$G/score_chat"
fails 1 'a judge is asked in a conversation' "$RAPT" score --input rule.jsonl --output - --source judge --model "$G/llama_tiny"

# Usage
S="$RAPT score --input rule.jsonl --output -"
fails 2 'expects --input FILE and --output FILE' "$RAPT" score --input rule.jsonl --source rule --rule json
fails 2 'expects --source NAME, one of column, rule, reward-model, judge, implicit, self' $S
fails 2 'found judgement' $S --source judgement
fails 2 'expects --column NAME or --weights' $S --source column
fails 2 'expects --column NAME or --weights' $S --source column --column a --weights b=1
fails 2 'expects NAME=W' $S --source column --weights b
fails 2 'expects NAME=W' $S --source column --weights b=inf
fails 2 'expects --rule NAME, one of gsm8k, regex' $S --source rule
fails 2 'expects --pattern P' $S --source rule --rule regex
fails 2 'expects --command TEXT' $S --source rule --rule command
fails 2 'no effect with --rule json' $S --source rule --rule json --command x
fails 2 'command-timeout expects' $S --source rule --rule command --command x --command-timeout 0
fails 2 'cross-fit expects two adapters' $S --source implicit --model x --cross-fit a
fails 2 'cross-fit expects two adapters' $S --source implicit --model x --cross-fit a,b --adapter c
fails 2 'per-token has no effect with --self-read argmax' $S --source self --model x --per-token
fails 2 'goals expects numbers' $S --source self --model x --goals 1,x
fails 2 'goals expects 2 to 101' $S --source self --model x --goals 1
fails 2 'expects --length N' $S --source rule --rule length
fails 2 'no effect with --source rule' $S --source rule --rule json --column x
fails 2 'no effect with --rule json' $S --source rule --rule json --pattern x
fails 2 'no effect here: the scores of --source column are taken as they are' $S --source column --column x --score-range 0,1
fails 2 'score-range expects two numbers' $S --source rule --rule json --score-range 5,1
fails 2 'pattern: character 2: missing closing parenthesis' $S --source rule --rule regex --pattern '(1'
fails 2 'both write to stdout' $S --source rule --rule json --json
fails 2 'expects --model M' $S --source reward-model
fails 2 'expects --adapter D, the policy' $S --source implicit --model x
fails 2 'beta must be above 0' $S --source implicit --model x --adapter y --beta 0
fails 2 'no effect with --source reward-model' $S --source reward-model --model x --beta 1
fails 2 'no effect with --source implicit' $S --source implicit --model x --adapter y --weights a=1
fails 2 'no effect with --source rule' $S --source rule --rule json --scale raw
fails 2 'no effect with --source column' $S --source column --column x --map f
fails 2 'map has no effect with --scale raw' $S --source implicit --model x --adapter y --scale raw --map f
fails 2 'no effect with --map' $S --source implicit --model x --adapter y --score-range 0,1 --map f
fails 2 'no effect here' $S --source reward-model --model x --score-range 0,1
fails 2 'has no place for it' $S --source implicit --model x --adapter y
fails 2 'read twice' "$RAPT" score --input - --output o4.jsonl --source implicit --model x --adapter y
fails 2 'micro-batch-tokens expects 16' $S --source reward-model --model x --micro-batch-tokens 4
fails 2 'attributes: 2 names, and the model' $S --source reward-model --model "$G/score_multi" --attributes a,b
fails 2 'attributes: 1 names, and the model.s head has 1 number' $S --source reward-model --model "$G/reward_tiny" --attributes a
fails 2 "no attribute 'x'; it has helpful, correct, brief" $S --source reward-model --model "$G/score_multi" --weights x=1
fails 2 'whose head has one number' $S --source reward-model --model "$G/reward_tiny" --weights x=1
[ ! -e o4.jsonl ]
