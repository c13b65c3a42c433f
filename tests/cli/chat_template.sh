#!/usr/bin/env bash
# rapt export --chat-template: a model without a chat template gets one, by name, of another model, or from a file; what is no template is refused and leaves nothing behind.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
mkdir "$dir/base"
cp "$tests"/golden/llama_tiny/* "$dir/base"
cd "$dir"
echo '{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "A"}], "rejected": [{"role": "assistant", "content": "B"}]}' >rows.jsonl
shown() { "$RAPT" template --model "$1" --input "${2:-rows.jsonl}"; }
"$RAPT" template --model base --input rows.jsonl 2>err && { echo "a base model has a template"; exit 1; }
has err 'rapt export --chat-template alpaca writes the model with one'
"$RAPT" export --model base --chat-template alpaca --output alpaca 2>/dev/null
eos=$(python3 -c 'import json; t = json.load(open("base/tokenizer_config.json"))["eos_token"]; print(t if isinstance(t, str) else t["content"])')
want=$(printf 'Be brief.\n\n### Instruction:\nHi\n\n### Response:\nA%s' "$eos")
case "$(shown alpaca)" in *"$want"*) ;; *) shown alpaca; exit 1 ;; esac
# A tokenizer that begins texts with a token of its own begins conversations with it, and only such a one.
bos=$(python3 -c 'import json; t = json.load(open("base/tokenizer_config.json")).get("bos_token"); print(t if isinstance(t, str) or t is None else t["content"])')
first() { "$RAPT" tokenize --model base --text a | python3 -c 'import re, sys; print(re.findall(r"\d+", sys.stdin.read())[0])'; }
if [ "$(first)" = 1 ]; then [ "$(shown alpaca | head -c ${#bos})" = "$bos" ]; else [ "$(shown alpaca | head -c 8)" = "Be brief" ]; fi
# As a GGUF, and of another model; a goal is baked into what was given.
"$RAPT" export --model base --format gguf --chat-template alpaca --output alpaca.gguf 2>/dev/null
[ "$(shown alpaca.gguf)" = "$(shown alpaca)" ]
"$RAPT" export --model base --chat-template alpaca.gguf --output other 2>/dev/null
[ "$(shown other)" = "$(shown alpaca)" ]
echo '{"text": "Score {s}.", "placement": "system", "low": 1, "high": 10}' >style.json
"$RAPT" export --model base --chat-template alpaca --bake-goal 9 --goal-style style.json --output baked 2>/dev/null
echo '{"prompt": [{"role": "user", "content": "Hi"}]}' >prompt.jsonl
case "$(shown baked prompt.jsonl)" in *"$(printf 'Score 9.\n\n### Instruction:\nHi')"*) ;; *) shown baked prompt.jsonl; exit 1 ;; esac
# A file.
printf '%s' "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}" >own.jinja
"$RAPT" export --model base --chat-template own.jinja --output own 2>/dev/null
[ "$(shown own)" = '<system>Be brief.<user>Hi<assistant>A' ]
cmp own.jinja own/chat_template.jinja
# Trained on conversations.
"$RAPT" train --help >/dev/null 2>&1 && "$RAPT" train --model alpaca --train-data rows.jsonl --output-dir run --max-steps 1 --dtype f32 --threads 1 2>/dev/null
# Refused.
fails 1 "the tokenizer has no token <|im_start|>; alpaca needs none" "$RAPT" export --model base --chat-template chatml --output x
for bad in '{% for m in messages %}' 'nothing of the messages'; do
  printf '%s' "$bad" >bad.jinja
  fails 1 '--chat-template bad.jinja: ' "$RAPT" export --model base --chat-template bad.jinja --output x
  [ ! -e x ]
done
fails 1 'it has none either' "$RAPT" export --model base --chat-template base --output x
fails 1 'none.jinja' "$RAPT" export --model base --chat-template none.jinja --output x
[ ! -e x ]
