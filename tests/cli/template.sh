#!/usr/bin/env bash
# rapt template: rows of every form through a folder's chat template; refusals.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
same() { diff -u "$1" "$2" || { echo "differs: $3"; exit 1; }; }
mkdir "$dir/m"
cp "$tests/golden/llama_tiny/tokenizer.json" "$dir/m/"
cat >"$dir/m/tokenizer_config.json" <<'EOF'
{"chat_template": "{% for t in tools or [] %}<{{ t.name }}>{% endfor %}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ '' if loop.last else '\\n' }}{% endfor %}{% if add_generation_prompt %}|{{ mood | default('-') }}>{% endif %}"}
EOF
cat >"$dir/rows.jsonl" <<'EOF'
{"messages": [{"role": "user", "content": "caf\u00e9"}]}

{"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}], "rejected": [{"role": "assistant", "content": "c"}]}
{"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "f"}], "chat_template_kwargs": {"mood": "calm"}}
EOF
"$RAPT" template --model "$dir/m" --input "$dir/rows.jsonl" >"$dir/o"
printf '%s\n' '[user] café' '[user] a' '[assistant] b' '<f>[user] x' >"$dir/want"
same "$dir/want" "$dir/o" "whole conversations"
"$RAPT" template --model "$dir/m" --input - --json --add-generation-prompt <"$dir/rows.jsonl" >"$dir/o"
printf '%s\n' '{"line": 1, "text": "[user] café|->"}' '{"line": 3, "text": "[user] a|->"}' '{"line": 4, "text": "<f>[user] x|calm>"}' >"$dir/want"
same "$dir/want" "$dir/o" "generation prompts"
fails 2 "--model and --input are needed" "$RAPT" template --model "$dir/m"
echo '{"prompt": "a", "chosen": "b", "rejected": "c"}' >"$dir/text.jsonl"
fails 1 "line 1: the row holds plain text" "$RAPT" template --model "$dir/m" --input "$dir/text.jsonl"
echo '{"messages": [1]}' >"$dir/bad.jsonl"
fails 1 "line 1: message 1: expected an object, got a number" "$RAPT" template --model "$dir/m" --input "$dir/bad.jsonl"
echo '{"messages": [], "chat_template_kwargs": [1]}' >"$dir/bad.jsonl"
fails 1 "line 1: template variables: expected an object" "$RAPT" template --model "$dir/m" --input "$dir/bad.jsonl"
echo '{' >"$dir/bad.jsonl"
fails 1 "line 1: " "$RAPT" template --model "$dir/m" --input "$dir/bad.jsonl"
printf '{"chat_template": "a\\nb\\n{%% if %%}"}' >"$dir/m/tokenizer_config.json"
fails 1 "template line 3: expected an expression" "$RAPT" template --model "$dir/m" --input "$dir/rows.jsonl"
printf '{"chat_template": "a\\n{{ raise_exception(messages[0].content) }}"}' >"$dir/m/tokenizer_config.json"
fails 1 "line 1: template line 2: the template refuses this conversation: café" "$RAPT" template --model "$dir/m" --input "$dir/rows.jsonl"
echo '{}' >"$dir/m/tokenizer_config.json"
fails 1 "has no chat template" "$RAPT" template --model "$dir/m" --input "$dir/rows.jsonl"
