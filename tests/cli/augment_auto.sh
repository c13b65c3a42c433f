#!/usr/bin/env bash
# rapt augment --placement auto: the model's chat template decides.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
mkdir m
echo '{"version":"1.0","added_tokens":[{"id":3,"content":"<e>","special":true}],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
"post_processor":null,"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<e>":3},"merges":["a b"]}}' >m/tokenizer.json
echo '{"prompt":"q","chosen":"w","rejected":"l","score_chosen":8,"score_rejected":3}' >in.jsonl
template() { printf '{"eos_token":"<e>","chat_template":"%s"}' "$1" >m/tokenizer_config.json; }
run() { "$RAPT" augment --input in.jsonl --output o.jsonl --placement auto --model m 2>err; }
template '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}'
run
grep -q 'placement: system$' err && grep -q '"placement": "system"' o.jsonl.goal.json
grep -q '^{"prompt": \[{"role": "system"' o.jsonl
template "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}" # Gemma 2
run
grep -q 'placement: user$' err && grep -q '"placement": "user"' o.jsonl.goal.json
grep -q '^{"prompt": "You are an assistant' o.jsonl
template "{% for m in messages %}{% if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}" # loses the text
run
grep -q 'placement: user$' err
template '{% for'
fails 1 'm: --placement auto needs a chat template' run
rm m/tokenizer_config.json
fails 1 'm: --placement auto needs a chat template: the tokenizer has no chat template' run
fails 2 'placement auto and --model M go together' "$RAPT" augment --input in.jsonl --output o.jsonl --placement auto
fails 2 'placement auto and --model M go together' "$RAPT" augment --input in.jsonl --output o.jsonl --model m
