#!/usr/bin/env bash
# Data in every container gives what its JSONL gives, in every command that reads rows, whatever the file is called; Parquet through a
# stand-in for the DuckDB command line, and through the real one where RAPT_DUCKDB or PATH has it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
golden=$tests/golden
cd "$dir"
cp "$golden/rows/pairs.jsonl" rows
python3 - <<'P'
import gzip, json
rows = [json.loads(x) for x in open("rows", encoding="utf-8")]
json.dump(rows, open("rows.array", "w"), indent=2)
json.dump({"version": 1, "data": rows}, open("rows.wrapped", "w"))
gzip.open("rows.gzip", "wb").write(open("rows", "rb").read())
gzip.open("rows.array_gzip", "wb").write(open("rows.array", "rb").read())
P
"$RAPT" augment --input rows --output want --json >want.counts 2>/dev/null
[ "$(wc -l <want)" = 10 ]
for f in array wrapped gzip array_gzip; do
  "$RAPT" augment --input rows.$f --output got --json >got.counts 2>/dev/null
  python3 -c 'import json,sys; a,b=([json.loads(x) for x in open(f)] for f in ("want","got")); sys.exit(a!=b)' || { echo "$f: other rows"; exit 1; }
  cmp want.counts got.counts
  "$RAPT" augment --input - --output - <rows.$f 2>/dev/null | cmp - got
  "$RAPT" augment --input rows.$f --output shuffled --mode shuffled 2>/dev/null # reads twice
  [ "$(wc -l <shuffled)" = 10 ]
done
"$RAPT" inspect rows.array_gzip >o; has o 'container: JSON, gzip'; has o '  pair: 5'
"$RAPT" inspect rows >o; has o 'container: JSONL'
# lines: of the unpacked text; of an array those at which its rows begin
printf '%s\n' '[' '{"prompt":"q","chosen":"a","rejected":"b","score_chosen":2,"score_rejected":1},' '' '{"prompt":"q",' '"chosen":7,"rejected":"b"}]' >bad.array
fails 1 'bad.array:4: field chosen: expected a string' "$RAPT" augment --input bad.array --output o
"$RAPT" augment --input bad.array --output o --on-bad-row skip --json 2>/dev/null | seen '"rows_read": 2, "rows_skipped": 1,'
echo '{"prompt":"q", "chosen":7,"rejected":"b"}' | diff - o.rejected.jsonl
head -c 150 rows.gzip >cut.jsonl
fails 1 'cut.jsonl: byte 150: damaged gzip data (the file ends too early)' "$RAPT" pair --input cut.jsonl --output o
[ ! -e o.tmp* ]
# columns under other names
echo '{"query":"q","better":"a","worse":"b","good":9,"bad":2,"prompt":null,"id":1}' >other.jsonl
fields=(--field prompt=query,chosen=better --field rejected=worse --field score_chosen=good,score_rejected=bad)
"$RAPT" augment --input other.jsonl "${fields[@]}" --output o --mode plain 2>/dev/null
echo '{"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}], "score_chosen": 9, "score_rejected": 2, "source_row": 0, "id": 1}' | diff - o
"$RAPT" inspect other.jsonl "${fields[@]}" >o; has o '  pair: 1'; has o 'chosen_scores'
"$RAPT" inspect other.jsonl >o; has o 'rows_of_no_form: 1'
echo '{"query":"q","best":[{"text":"a","score":1},{"text":"b","score":2}]}' >k.jsonl
"$RAPT" pair --input k.jsonl --field prompt=query,responses=best --output - 2>/dev/null | seen '^{"prompt": "q", "chosen": "b", "rejected": "a", "score_chosen": 2, "score_rejected": 1}$'
fails 2 'no form of rows has a field of that name; the names are: prompt, chosen,' "$RAPT" augment --input other.jsonl --output o --field promt=query
fails 1 'other.jsonl:1: field ask: missing; --field prompt=ask asks for it' "$RAPT" augment --input other.jsonl --output o --field prompt=ask
fails 2 'no effect without --input' "$RAPT" generate --model "$golden/llama_tiny" --prompt x --field prompt=ask
fails 2 'is no data set' "$RAPT" inspect "$golden/llama_tiny" --field prompt=ask
# models: ids, log-probs and training do not see what the rows came in
if "$RAPT" train --help >/dev/null 2>&1; then
  model=$golden/llama_tiny
  head -8 "$golden/trl/train.jsonl" >t.jsonl
  python3 -c 'import json,gzip; json.dump([json.loads(x) for x in open("t.jsonl")], gzip.open("t.array", "wt"), indent=1)'
  mkdir m
  cp "$model/tokenizer.json" m
  echo '{"chat_template": "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"}' >m/tokenizer_config.json
  "$RAPT" template --model m --input rows >want.template
  has want.template '[user] question 4'
  "$RAPT" template --model m --input rows.array_gzip | cmp want.template -
  for f in jsonl array; do
    "$RAPT" logps --model "$model" --input t.$f --output logps.$f --dtype f32 --threads 1 --max-length 1024 2>/dev/null
    "$RAPT" train --model "$model" --train-data t.$f --ref-logps logps.$f --output-dir run.$f --dtype f32 --threads 1 --max-steps 3 2>/dev/null >/dev/null
  done
  python3 -c 'import json,sys; a,b=([json.loads(x) for x in open(f)] for f in ("logps.jsonl","logps.array")); sys.exit(a!=b)'
  cmp run.jsonl/adapter_model.safetensors run.array/adapter_model.safetensors
  python3 -c '
import json
for x in open("t.jsonl"):
    r = json.loads(x)
    r["better"] = r.pop("chosen")
    print(json.dumps(r))' >t.columns
  "$RAPT" logps --model "$model" --input t.columns --field chosen=better --output o --dtype f32 --threads 1 --max-length 1024 2>/dev/null
  [ "$(grep -o '"logps_chosen".*' o)" = "$(grep -o '"logps_chosen".*' logps.jsonl)" ]
  "$RAPT" train --model "$model" --train-data t.columns --field chosen=better --output-dir run.columns --dtype f32 --threads 1 --max-steps 3 2>/dev/null >/dev/null
  cmp run.jsonl/adapter_model.safetensors run.columns/adapter_model.safetensors
  printf '%s\n' '{"text": "the cat sat"}' '{"text": "on"}' >text.jsonl
  "$RAPT" train --model "$model" --train-data text.jsonl --objective sft --output-dir run.text --dtype f32 --threads 1 --max-steps 1 2>err >/dev/null
  has err '2 rows, 0 dropped'
  fails 1 'text.jsonl:1: the row has no prompt (form text)' "$RAPT" generate --model "$model" --input text.jsonl --output o
  gzip -c logps.jsonl >logps.gz
  cp logps.jsonl.meta.json logps.gz.meta.json
  "$RAPT" train --model "$model" --train-data t.jsonl --ref-logps logps.gz --output-dir run.gz --dtype f32 --threads 1 --max-steps 3 2>/dev/null >/dev/null
  cmp run.jsonl/adapter_model.safetensors run.gz/adapter_model.safetensors
fi
# Parquet: the program, its arguments, its failures
cp "$golden/rows/pairs.parquet" "a b'\$(touch no).parquet"
mkdir bin
cat >bin/duckdb <<'D'
#!/usr/bin/env bash
[ $# = 5 ] && [ "$1 $2 $3 $4" = "-init /dev/null -batch -c" ] || { echo "arguments: $*" >&2; exit 9; }
case "$5" in *"read_parquet('/dev/fd/3')"*) ;; *) echo "query: $5" >&2; exit 9 ;; esac
cmp /dev/fd/3 "$PARQUET" || exit 8
[ -z "$(cat)" ] || exit 7
cat "$ROWS"
if [ -n "${SAY:-}" ]; then echo "$SAY" >&2; exit 3; fi
if [ -n "${DIE:-}" ]; then kill -9 $$; fi
D
chmod +x bin/duckdb
export PARQUET="$golden/rows/pairs.parquet" ROWS="$golden/rows/pairs.jsonl"
real=${RAPT_DUCKDB:-$(command -v duckdb || true)}
unset RAPT_DUCKDB
PATH=$dir/bin:$PATH "$RAPT" augment --input "a b'\$(touch no).parquet" --output got 2>/dev/null
cmp want got
[ ! -e no ]
SAY='IO Error: broken page' PATH=$dir/bin:$PATH fails 1 "parquet: duckdb ended with code 3: IO Error: broken page" "$RAPT" pair --input "$PARQUET" --output o
DIE=1 PATH=$dir/bin:$PATH fails 1 "duckdb was ended by signal 9" "$RAPT" augment --input "$PARQUET" --output o
PATH=$dir/bin:$PATH "$RAPT" augment --input "$PARQUET" --output o --limit 1 2>/dev/null # stops in the middle
RAPT_DUCKDB=$dir/nothing fails 1 "is a Parquet file; these are read through the DuckDB command line, and there is no program '$dir/nothing'" "$RAPT" inspect "$PARQUET"
fails 1 'a Parquet file is read from a file, not from a pipe' "$RAPT" pair --input - --output o <"$PARQUET"
if [ -n "$real" ]; then
  export RAPT_DUCKDB=$real
  "$RAPT" augment --input "a b'\$(touch no).parquet" --output got 2>/dev/null
  python3 -c 'import json,sys; a,b=([json.loads(x) for x in open(f)] for f in ("want","got")); sys.exit(a!=b)' || { echo "DuckDB: other rows"; exit 1; }
  "$RAPT" inspect "$PARQUET" >o; has o 'container: Parquet'; has o 'rows: 5'
  { head -c 700 "$PARQUET"; printf PAR1; } >cut.parquet
  fails 1 "cut.parquet: $real ended with code 1: " "$RAPT" inspect cut.parquet
else
  echo "no duckdb here: Parquet was read through the stand-in only"
fi
