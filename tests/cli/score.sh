#!/usr/bin/env bash
# rapt score: columns and rules. Every expected number was worked out by hand.
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
"$RAPT" pair --input s.jsonl --output p.jsonl --rule paper --json 2>/dev/null | grep -q '"dropped_na": 1,.*"pairs_written": 1}'
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
"$RAPT" score --input bad.jsonl --output o3.jsonl --source column --column x --on-bad-row skip --json 2>/dev/null | grep -q '"rows_read": 5, "rows_skipped": 4, "rows_written": 1,'
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

# Usage
S="$RAPT score --input rule.jsonl --output -"
fails 2 'expects --input FILE and --output FILE' "$RAPT" score --input rule.jsonl --source rule --rule json
fails 2 'expects --source NAME, one of column, rule' $S
fails 2 'found judgement' $S --source judgement
fails 2 'expects --column NAME or --weights' $S --source column
fails 2 'expects --column NAME or --weights' $S --source column --column a --weights b=1
fails 2 'expects NAME=W' $S --source column --weights b
fails 2 'expects NAME=W' $S --source column --weights b=inf
fails 2 'expects --rule NAME, one of gsm8k, regex' $S --source rule
fails 2 'expects --pattern P' $S --source rule --rule regex
fails 2 'expects --length N' $S --source rule --rule length
fails 2 'no effect with --source rule' $S --source rule --rule json --column x
fails 2 'no effect with --rule json' $S --source rule --rule json --pattern x
fails 2 'no effect with --source column' $S --source column --column x --score-range 0,1
fails 2 'score-range expects two numbers' $S --source rule --rule json --score-range 5,1
fails 2 'pattern: character 2: missing closing parenthesis' $S --source rule --rule regex --pattern '(1'
fails 2 'both write to stdout' $S --source rule --rule json --json
