#!/usr/bin/env bash
# rapt inspect --explain: the tokens that logps scores and training keeps, as text, as JSON and in colours; refusals.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
model=$tests/golden/llama_tiny data=$tests/golden/trl/train.jsonl
cd "$dir"
cp "$data" t.jsonl
"$RAPT" inspect t.jsonl --explain --model "$model" --rows 40 --max-length 24 --json >o.json
"$RAPT" logps --model "$model" --input t.jsonl --max-length 24 --tokens --dtype f32 --threads 1 --output l.jsonl 2>/dev/null
"$RAPT" inspect t.jsonl --explain --model "$model" --rows 40 --max-length 24 --compat trl-0.24 --max-prompt-length 6 --max-completion-length 8 --json >old.json
python3 - <<'P'
import json
rows = json.load(open("o.json"))["explained"]
logps = [json.loads(x) for x in open("l.jsonl")]
assert len(rows) == len(logps) > 10
dropped = cut = 0
for i, (r, l) in enumerate(zip(rows, logps)):
    assert r["line"] == i + 1 and r["form"] == "pair" and [s["name"] for s in r["sequences"]] == ["chosen", "rejected"]
    for s, side in zip(r["sequences"], ("chosen", "rejected")):
        assert s["score"] == l["score_" + side]
        if l["logps_chosen"] is None:
            dropped += 1
            assert not s["scored"] and len(s["cut_prompt"]) >= 24
            continue
        assert s["prompt"] == l["prompt_ids"] and s["scored"] == l[side + "_ids"][:l["tokens_" + side]] and len(s["scored"]) == l["tokens_" + side]
        assert len(s["scored_text"]) == len(s["scored"]) and not s["cut_prompt"] and not s["cut_head"]
        assert not s["cut"] or len(s["prompt"]) + len(s["scored"]) == 24
        cut += len(s["cut"])
assert dropped and cut, (dropped, cut)
for r in json.load(open("old.json"))["explained"]:
    for s in r["sequences"]:
        assert 0 < len(s["prompt"]) <= 6 and len(s["scored"]) <= 8 and (not s["cut_prompt"] or len(s["prompt"]) == 6)
assert any(s["cut_prompt"] for r in json.load(open("old.json"))["explained"] for s in r["sequences"])
P
printf '%s\n' '{"prompt":"the","chosen":" cat","rejected":" dog sat","goal":8.5,"goal_of":"chosen","score_chosen":8.5,"score_rejected":3}' '{"nothing":1}' \
  '{"prompt":"a","completion":" mat","label":false}' '{"prompt":"q","responses":["a","b"],"rewards":[1,2]}' '{"text":"the cat"}' \
  '{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}' '{"prompt":"the"}' >mixed.jsonl
"$RAPT" inspect mixed.jsonl --explain --model "$model" --rows 9 >o
has o 'line 1: form pair, goal 8.5 of chosen'; has o 'chosen (score 8.5), '; has o 'rejected (score 3), '; has o '  prompt, '; has o 'line 3: form completion, label false'
has o 'response 1 (score 2), '; has o 'line 5: form text'; has o 'cannot be trained on: the row is a conversation, but the tokenizer has no chat template'; has o 'line 7: form prompt'
"$RAPT" inspect mixed.jsonl --explain --model "$model" >three
[ "$(grep -c '^line ' three)" = 3 ]
! grep -q $'\033' three || { echo "colours without a terminal"; exit 1; }
"$RAPT" inspect mixed.jsonl --explain --model "$model" --rows 9 --json | python3 -c 'import json,sys; r = json.load(sys.stdin)["explained"]; assert len(r) == 6 and r[1]["label"] is False and "chat template" in r[4]["error"]'
terminal() { python3 -c 'import os,pty,sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$@" </dev/null; }
terminal "$RAPT" inspect mixed.jsonl --explain --model "$model" --max-length 3 >o
for ink in '[2m' '[32m' '[31m' '[9;90m' '[0m'; do has o $'\033'"$ink"; done
NO_COLOR=1 terminal "$RAPT" inspect mixed.jsonl --explain --model "$model" >o
! grep -q $'\033' o || { echo "colours in spite of NO_COLOR"; exit 1; }
fails 2 'explain needs --model' "$RAPT" inspect mixed.jsonl --explain
fails 2 'model has no effect without --explain' "$RAPT" inspect mixed.jsonl --model "$model"
fails 2 'max-prompt-length has no effect without --explain' "$RAPT" inspect mixed.jsonl --max-prompt-length 3
fails 2 'is no data set' "$RAPT" inspect "$model" --explain --model "$model"
fails 2 'rows must be 1 or more' "$RAPT" inspect mixed.jsonl --explain --model "$model" --rows 0
fails 2 'TRL 1.x has removed it' "$RAPT" inspect mixed.jsonl --explain --model "$model" --max-prompt-length 3
