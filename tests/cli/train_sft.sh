#!/usr/bin/env bash
# SFT on what the chat template's generation blocks hold, and on all tokens: the loss of the first step is transformers' over TRL's labels
# (tests/oracle/make_sft.py).
source "$(dirname "$0")/lib.sh"
golden=$tests/golden
cp -r "$golden/llama_tiny" "$dir/model"
python3 - "$golden/sft/loss.json" "$dir" <<'P'
import json, sys
x = json.load(open(sys.argv[1]))
config = json.load(open(sys.argv[2] + "/model/tokenizer_config.json"))
json.dump(dict(config, chat_template=x["chat_template"]), open(sys.argv[2] + "/model/tokenizer_config.json", "w"))
open(sys.argv[2] + "/rows.jsonl", "w").write("".join(json.dumps(r) + "\n" for r in x["rows"]))
open(sys.argv[2] + "/text.jsonl", "w").write('{"prompt": "the", "completion": " had"}\n')
P
train() { "$RAPT" train --model "$dir/model" --objective sft --dtype f32 --threads 1 --max-steps 1 --logging-steps 1 --per-device-train-batch-size 8 "$@"; }
first_loss() { python3 -c 'import json,sys; print(json.loads(open(sys.argv[1] + "/metrics.jsonl").readline())["loss"])' "$1"; }
count=$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["losses"]))' "$golden/sft/loss.json")
for i in $(seq 0 $((count - 1))); do
  options=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["losses"][int(sys.argv[2])]["options"])' "$golden/sft/loss.json" "$i")
  train --train-data "$dir/rows.jsonl" --output-dir "$dir/run$i" $options 2>"$dir/err$i" >/dev/null || { cat "$dir/err$i"; exit 1; }
  python3 - "$golden/sft/loss.json" "$i" "$dir/run$i/metrics.jsonl" <<'P'
import json, sys
want = json.load(open(sys.argv[1]))["losses"][int(sys.argv[2])]["loss"]
got = json.loads(open(sys.argv[3]).readline())["loss"]
assert abs(got - want) <= 1e-5 * max(1, abs(want)), (sys.argv[2], got, want)
P
done
if grep -q 'may not learn to stop' "$dir/err0"; then echo "warned though ends are trained on"; exit 1; fi
sed 's/{{ m.content }}<\/s>{% endgeneration %}/{{ m.content }}{% endgeneration %}<\/s>/' "$dir/model/tokenizer_config.json" >"$dir/config.json"
cp "$dir/model/tokenizer_config.json" "$dir/kept.json" && cp "$dir/config.json" "$dir/model/tokenizer_config.json"
train --train-data "$dir/rows.jsonl" --output-dir "$dir/ends" --assistant-only-loss 2>"$dir/err" >/dev/null
has "$dir/err" 'may not learn to stop'
cp "$dir/kept.json" "$dir/model/tokenizer_config.json"
grep -q '"assistant-only-loss": *true' "$dir/run0/manifest.json" || { echo "the manifest does not have the option"; exit 1; }
fails 1 'the row is no conversation' train --train-data "$dir/text.jsonl" --output-dir "$dir/x" --assistant-only-loss
fails 2 'assistant-only-loss has no effect with --objective dpo' train --train-data "$dir/rows.jsonl" --output-dir "$dir/x" --assistant-only-loss --objective dpo
cp "$golden/llama_tiny/tokenizer_config.json" "$dir/model/tokenizer_config.json"
fails 1 'assistant-only-loss: .*no chat template' train --train-data "$dir/rows.jsonl" --output-dir "$dir/x" --assistant-only-loss
sed -i 's/{/{"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",/' "$dir/model/tokenizer_config.json"
sed -i 's/{{ m.content }}{% endfor %}/{{ m.content if loop.last else 1 }}{% endfor %}/' "$dir/model/tokenizer_config.json"
fails 1 'message 2: the chat template has no {% generation %} block, and it writes this turn otherwise' train --train-data "$dir/rows.jsonl" --output-dir "$dir/x" --assistant-only-loss

# The same template without its marks: what the turns add to the text is what the marks held, so the same losses
python3 - "$dir" <<'P'
import json, re, sys
config = json.load(open(sys.argv[1] + "/kept.json"))
json.dump(dict(config, chat_template=re.sub("{% (end)?generation %}", "", config["chat_template"])), open(sys.argv[1] + "/model/tokenizer_config.json", "w"))
P
for i in 0 1; do
  options=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["losses"][int(sys.argv[2])]["options"])' "$golden/sft/loss.json" "$i")
  train --train-data "$dir/rows.jsonl" --output-dir "$dir/turns$i" $options 2>"$dir/err" >/dev/null || { cat "$dir/err"; exit 1; }
  has "$dir/err" 'no {% generation %} block: what each of the'
  [ "$(first_loss "$dir/turns$i")" = "$(first_loss "$dir/run$i")" ] || { echo "the turns' loss is not the marks'"; exit 1; }
done
"$RAPT" template --model "$dir/model" --input "$dir/rows.jsonl" --assistant-mask >"$dir/marked"
head -1 "$dir/marked" | grep -q '^the had satthat⟦ on ate home</s>⟧the so the dogthat⟦ red</s>⟧$' || { head -1 "$dir/marked"; exit 1; }
"$RAPT" template --model "$dir/model" --input "$dir/rows.jsonl" --assistant-mask --json >"$dir/marked"
head -1 "$dir/marked" | grep -qF '"assistant": [[15, 31], [49, 57]]}' || { head -1 "$dir/marked"; exit 1; }
fails 2 'assistant-mask is of whole conversations' "$RAPT" template --model "$dir/model" --input "$dir/rows.jsonl" --assistant-mask --add-generation-prompt
cp "$golden/llama_tiny/tokenizer_config.json" "$dir/model/tokenizer_config.json"
sed -i 's/{/{"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",/' "$dir/model/tokenizer_config.json"

# chat_template_kwargs: a row's own before the option's; kept beside the weights and taken from there
sed -i 's/"chat_template": "[^"]*"/"chat_template": "{% for m in messages %}{{ word if word is defined }}{{ m.content }}{% endfor %}"/' "$dir/model/tokenizer_config.json"
printf '%s\n' '{"prompt": [{"role": "user", "content": "the"}], "chosen": [{"role": "assistant", "content": " had"}], "rejected": [{"role": "assistant", "content": " red"}]}' >"$dir/pair.jsonl"
sed 's/^{/{"chat_template_kwargs": {"word": " dog"}, /' "$dir/pair.jsonl" >"$dir/own.jsonl"
template() { "$RAPT" template --model "$dir/model" "$@"; }
[ "$(template --input "$dir/pair.jsonl" --chat-template-kwargs '{"word": "so"}')" = "sotheso had" ] || { echo "the variable is not there"; exit 1; }
[ "$(template --input "$dir/own.jsonl" --chat-template-kwargs '{"word": "so"}')" = " dogthe dog had" ] || { echo "the row's own does not come first"; exit 1; }
fails 2 'chat-template-kwargs: "wird" has no effect: the chat template does not name it' template --input "$dir/pair.jsonl" --chat-template-kwargs '{"wird": 1}'
fails 2 'chat-template-kwargs: messages is not a template variable that can be given' template --input "$dir/pair.jsonl" --chat-template-kwargs '{"messages": 1}'
fails 2 'chat-template-kwargs: expected a JSON object, got an array' template --input "$dir/pair.jsonl" --chat-template-kwargs '[1]'
fails 1 'chat-template-kwargs: ' template --input "$dir/pair.jsonl" --chat-template-kwargs '{"word"'
fails 2 'chat-template-kwargs has no effect with --raw' "$RAPT" generate --model "$dir/model" --prompt x --raw --chat-template-kwargs '{"word": 1}'
fails 2 'chat-template-kwargs has no effect without --placement auto' "$RAPT" augment --input "$dir/pair.jsonl" --output "$dir/x" --chat-template-kwargs '{"word": 1}'
fails 2 'chat-template-kwargs has no effect without --model' "$RAPT" eval goal-accuracy --logps "$dir/x" --chat-template-kwargs '{"word": 1}'
"$RAPT" logps --model "$dir/model" --input "$dir/pair.jsonl" --output "$dir/ref.jsonl" --dtype f32 --max-length 64 --chat-template-kwargs '{"word": "so"}' 2>/dev/null
reference() { "$RAPT" train --model "$dir/model" --train-data "$dir/pair.jsonl" --output-dir "$dir/with" --dtype f32 --max-length 64 --max-steps 1 --order shuffled --ref-logps "$dir/ref.jsonl" "$@"; }
reference --chat-template-kwargs '{"word": "so"}' >/dev/null 2>&1
fails 1 'chat_template_kwargs_hash: made with' reference
echo '{"text": "S {s}", "placement": "user", "low": 1, "high": 10, "quantum": 0}' >"$dir/pair.jsonl.goal.json"
"$RAPT" train --model "$dir/model" --train-data "$dir/pair.jsonl" --output-dir "$dir/kwargs" --dtype f32 --max-steps 1 --order shuffled \
  --chat-template-kwargs '{"word": "so"}' 2>/dev/null >/dev/null
has "$dir/kwargs/manifest.json" '"chat_template_kwargs": {"word": "so"}'
has "$dir/kwargs/manifest.json" '"command": "rapt train --'
has "$dir/kwargs/goal.json" '"chat_template_kwargs": {"word": "so"}'
ids() { "$RAPT" logps --model "$dir/model" --input "$dir/pair.jsonl" --dtype f32 --tokens "$@" 2>/dev/null | sed 's/.*"prompt_ids": *\(\[[^]]*\]\).*/\1/'; }
plain=$(ids) given=$(ids --chat-template-kwargs '{"word": "so"}') kept=$(ids --adapter "$dir/kwargs")
[ "$plain" != "$given" ] && [ "$kept" = "$given" ] || { echo "ids: $plain, given $given, kept $kept"; exit 1; }
"$RAPT" export --format hf --model "$dir/model" --adapter "$dir/kwargs" --output "$dir/merged" 2>/dev/null
has "$dir/merged/goal.json" '"chat_template_kwargs": {"word": "so"}'
rm "$dir/kwargs/goal.json"
[ "$(ids --adapter "$dir/kwargs")" = "$given" ] || { echo "the manifest's are not taken"; exit 1; }
