#!/usr/bin/env bash
# rapt pair: exact rows, counts, refusals.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
cat >in.jsonl <<'E'
{"prompt":"q1","responses":[{"text":"a","score":3},{"text":"b","score":8},{"text":"c","score":5}],"id":"x"}
{"prompt":"q2","responses":["d","d"],"rewards":[1,2]}
{"source":"truthful_qa","instruction":"q3","completions":[{"response":"e","overall_score":9},{"response":"f","overall_score":2}]}
E
"$RAPT" pair --input in.jsonl --output - --rule best-worst 2>err >got
cat >want <<'E'
{"prompt": "q1", "chosen": "b", "rejected": "a", "score_chosen": 8, "score_rejected": 3, "id": "x"}
{"prompt": "q3", "chosen": "e", "rejected": "f", "score_chosen": 9, "score_rejected": 2, "source": "truthful_qa"}
E
diff want got
grep -q 'pairs dropped: equal responses  *1$' err
"$RAPT" pair --input - --output all.jsonl --rule all --json <in.jsonl 2>/dev/null >got
echo '{"rows_read": 3, "rows_skipped": 0, "rows_excluded": 0, "dropped_no_score": 0, "dropped_score": 0, "dropped_na": 0, "dropped_empty": 0, "dropped_few_responses": 0, "dropped_equal_text": 1, "dropped_fine_order": 0, "dropped_margin": 0, "dropped_drawn": 0, "dropped_tie": 0, "ties": 0, "reversed": 0, "pairs_written": 4}' | diff - got
[ "$(wc -l <all.jsonl)" = 4 ]
"$RAPT" pair --input in.jsonl --output one.jsonl --rule all --limit 2 2>/dev/null
head -2 all.jsonl | diff - one.jsonl
"$RAPT" pair --input in.jsonl --output paper.jsonl --json 2>/dev/null | seen '"rows_excluded": 1,.*"pairs_written": 1}'
"$RAPT" pair --input in.jsonl --output paper2.jsonl --seed 42 2>/dev/null
cmp paper.jsonl paper2.jsonl
grep -q '"chosen": "b"' paper.jsonl
# a benchmark's prompts
printf 'Type,Question,Answer\r\nx,"q1",a\r\ny,"a ""quoted"",\nlong one",b\r\n' >ex.csv
"$RAPT" pair --input in.jsonl --output o.jsonl --rule best-worst --exclude-prompts ex.csv --json 2>/dev/null | seen '"rows_excluded": 1,.*"pairs_written": 1}'
grep -q '"q3"' o.jsonl
echo '{"prompt":"a \"quoted\",\nlong one","responses":["a","b"],"scores":[2,1]}' >quoted.jsonl
"$RAPT" pair --input quoted.jsonl --output o.jsonl --exclude-prompts ex.csv --json 2>/dev/null | seen '"rows_excluded": 1,'
printf 'q3\n\n' >ex.txt
"$RAPT" pair --input in.jsonl --output o.jsonl --rule best-worst --exclude-prompts ex.txt 2>/dev/null
[ "$(wc -l <o.jsonl)" = 1 ] && grep -q '"q1"' o.jsonl
printf '%s\n' '{"question":"q3"}' '{"prompt":[{"role":"user","content":"q1"}]}' >ex.jsonl
"$RAPT" pair --input in.jsonl --output o.jsonl --rule best-worst --exclude-prompts ex.jsonl 2>/dev/null
[ ! -s o.jsonl ]
gzip -c ex.jsonl >ex.gz # told by content
python3 -c 'import json; json.dump([json.loads(x) for x in open("ex.jsonl")], open("ex.array", "w"), indent=1)'
for f in ex.gz ex.array; do
  "$RAPT" pair --input in.jsonl --output o.jsonl --rule best-worst --exclude-prompts $f 2>/dev/null
  [ ! -s o.jsonl ]
done
printf '[INST] q3\n{q1}\nq3\n' >ex.words
"$RAPT" pair --input in.jsonl --output o.jsonl --rule best-worst --exclude-prompts ex.words 2>/dev/null
[ "$(wc -l <o.jsonl)" = 1 ] && grep -q '"q1"' o.jsonl
"$RAPT" augment --input all.jsonl --output o.jsonl --exclude-prompts ex.jsonl --json 2>/dev/null | seen '"rows_excluded": 4,'
printf 'a,b\n' >no.csv
printf 'Question\n"never' >open.csv
fails 1 'no.csv: line 1: no column Question' "$RAPT" pair --input in.jsonl --output o.jsonl --exclude-prompts no.csv
fails 1 'open.csv: line 2: a quote is never closed' "$RAPT" pair --input in.jsonl --output o.jsonl --exclude-prompts open.csv
fails 1 'nothere.txt' "$RAPT" augment --input in.jsonl --output o.jsonl --exclude-prompts nothere.txt
rm -f o.jsonl
# margins, ties, length; the picture; all scores of a prompt for augment
"$RAPT" pair --input in.jsonl --output o.jsonl --rule all --min-margin 3 --json --picture m.svg 2>err | seen '"dropped_margin": 1,.*"pairs_written": 3}'
grep -q 'margin: mean 5, median 5, 10% 3.4, 90% 6.6; mean score: chosen 8.33, rejected 3.33$' err
grep -q ' 3 to 3.5  *#* 1$' err
head -c 60 m.svg | seen '^<svg xmlns'
python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("m.svg")'
"$RAPT" pair --input in.jsonl --output o.jsonl --rule adjacent --max-margin 2 --keep-scores 2>/dev/null
echo '{"prompt": "q1", "chosen": "c", "rejected": "a", "score_chosen": 5, "score_rejected": 3, "prompt_scores": [3, 8, 5], "id": "x"}' | diff - o.jsonl
"$RAPT" augment --input o.jsonl --output - --goals prompt 2>/dev/null | sed 's/.*"goal": \([0-9]*\),.*"score_chosen": \([0-9]*\),.*/\1 \2/' >got
printf '%s\n' '5 5' '3 3' '8 5' | diff - got # goal, score of who is preferred under it
"$RAPT" augment --input in.jsonl --output - --goals prompt --rule adjacent --max-margin 2 2>/dev/null | sed 's/.*"goal": \([0-9]*\),.*"score_chosen": \([0-9]*\),.*/\1 \2/' | diff got -
echo '{"prompt": "q", "chosen": "c", "rejected": "a", "score_chosen": 5, "score_rejected": 3, "prompt_scores": [3, "x"]}' >bad.jsonl
fails 1 'bad.jsonl:1: field prompt_scores' "$RAPT" augment --input bad.jsonl --output o.jsonl --goals prompt
echo '{"prompt":"q","responses":["a","b"],"scores":[2,2]}' >tie.jsonl
"$RAPT" pair --input tie.jsonl --output o.jsonl --rule best-worst --ties drop --json 2>/dev/null | seen '"dropped_tie": 1, "ties": 0, "reversed": 0, "pairs_written": 0}'
fails 2 '--top has no effect under --rule all' "$RAPT" pair --input in.jsonl --output o.jsonl --rule all --top 3
fails 2 'takes neither --length-penalty nor' "$RAPT" pair --input in.jsonl --output o.jsonl --length-penalty 0.1
fails 2 '--max-margin is below --min-margin' "$RAPT" augment --input in.jsonl --output o.jsonl --min-margin 2 --max-margin 1
# a window of scores, goals that training does not see, some of the pairs
"$RAPT" pair --input in.jsonl --output - --rule best-worst --max-score 5 2>/dev/null >got
echo '{"prompt": "q1", "chosen": "c", "rejected": "a", "score_chosen": 5, "score_rejected": 3, "id": "x"}' | diff - got
"$RAPT" augment --input in.jsonl --output o.jsonl --rule all --max-score 5 --json 2>/dev/null | seen '"pairs_train": 1,.*"dropped_score": 2,'
"$RAPT" augment --input all.jsonl --output o.jsonl --min-score 3 --max-score 8 --json 2>/dev/null | seen '"pairs_train": 3,.*"dropped_score": 1,' # a row that is a pair goes whole
"$RAPT" augment --input in.jsonl --output o.jsonl --mode sft --max-score 5 --without-goals 3 --json 2>/dev/null | seen '"rows_written": 4,.*"dropped_score": 2, "dropped_goal": 1,'
"$RAPT" augment --input in.jsonl --output o.jsonl --rule all --without-goals 5.2 --quantize 1 --json 2>/dev/null | seen '"pairs_train": 2,.*"dropped_goal": 2,'
if grep -q '"goal": 5,' o.jsonl; then echo "goal 5 is there"; exit 1; fi
"$RAPT" augment --input in.jsonl --output o.jsonl --rule all --goals 3,5,8 --without-goals 5 --json 2>/dev/null | seen '"pairs_train": 2,.*"rows_written": 4,.*"dropped_goal": 2,'
"$RAPT" augment --input in.jsonl --output - --rule all --split 0.999 --test-output t.jsonl --without-goals 5 2>/dev/null
[ "$(grep -c '"goal": 5,' t.jsonl)" = 2 ] # the test split keeps them
"$RAPT" pair --input in.jsonl --output o.jsonl --rule all --max-pairs 1 --seed 3 --json 2>/dev/null | seen '"dropped_drawn": 2,.*"pairs_written": 2}'
"$RAPT" pair --input in.jsonl --output - --rule cross 2>/dev/null | grep -c '"chosen": "b", "rejected": "a"' | seen -x 1
fails 2 '--max-score is below --min-score' "$RAPT" pair --input in.jsonl --output o.jsonl --min-score 5 --max-score 4
fails 2 "min-score expects a number, not 'nan'" "$RAPT" pair --input in.jsonl --output o.jsonl --min-score nan
fails 2 '--max-pairs has no effect under --rule best-worst' "$RAPT" pair --input in.jsonl --output o.jsonl --rule best-worst --max-pairs 2
fails 2 '--without-goals expects numbers such as 2,5,10' "$RAPT" augment --input in.jsonl --output o.jsonl --without-goals own
rm -f o.jsonl t.jsonl
# broken rows
printf '%s\n' '{"prompt":"q","chosen":"a","rejected":"b"}' '{"prompt":"q","responses":[{"text":5}]}' >bad.jsonl
head -1 in.jsonl >>bad.jsonl
fails 1 'bad.jsonl:1: expected a row with several responses, found a pair' "$RAPT" pair --input bad.jsonl --output o.jsonl
[ ! -e o.jsonl ]
"$RAPT" pair --input bad.jsonl --output o.jsonl --on-bad-row skip --json 2>/dev/null | seen '"rows_read": 3, "rows_skipped": 2'
[ "$(wc -l <o.jsonl)" = 1 ]
head -2 bad.jsonl | diff - o.jsonl.rejected.jsonl
fails 1 'nothere.jsonl' "$RAPT" pair --input nothere.jsonl --output o.jsonl
fails 2 'expects --input FILE and --output FILE' "$RAPT" pair --input in.jsonl
fails 2 'no effect under --rule all' "$RAPT" pair --input in.jsonl --output o.jsonl --rule all --seed 1
fails 2 'both write to stdout' "$RAPT" pair --input in.jsonl --output - --json
fails 2 'rule' "$RAPT" pair --input in.jsonl --output o.jsonl --rule best
# forms of well-known data sets: HelpSteer2 has a prompt's responses in adjacent rows, Nectar has ranks
cat >forms.jsonl <<'R'
{"prompt":"q1","response":"a","helpfulness":1,"correctness":4,"coherence":4,"complexity":2,"verbosity":1}
{"prompt":"q1","response":"b","helpfulness":3,"correctness":2,"coherence":4,"complexity":2,"verbosity":1}
{"prompt":"\n\nHuman: q2\n\nAssistant: ","answers":[{"answer":"c","model":"m","rank":3.0},{"answer":"d","model":"m","rank":1.0},{"answer":"e","rank":2.0}],"turns":1}
R
"$RAPT" pair --input forms.jsonl --output - --rule best-worst 2>/dev/null >got
cat >want <<'R'
{"prompt": [{"role":"user","content":"q1"}], "chosen": [{"role":"assistant","content":"b"}], "rejected": [{"role":"assistant","content":"a"}], "score_chosen": 3, "score_rejected": 1}
{"prompt": [{"role":"user","content":"q2"}], "chosen": [{"role":"assistant","content":"d"}], "rejected": [{"role":"assistant","content":"c"}], "score_chosen": 10, "score_rejected": 1, "turns": 1}
R
diff want got
echo '{"prompt":"q","answers":[{"answer":"a","rank":"first"}]}' >bad.jsonl
fails 1 'bad.jsonl:1: field answers\[0\].rank: expected a finite number, found "first"; expected {prompt, answers' "$RAPT" pair --input bad.jsonl --output - --rule all
