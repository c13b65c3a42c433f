#!/usr/bin/env bash
# rapt export --bake-goal: what is written and what is refused. That the template renders right is tested in test_goal_bake and tests/oracle/check_bake.py.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
mkdir "$dir/model"
cp "$tests"/golden/llama_tiny/* "$dir/model"
cd "$dir"
chat="{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
printf '%s' "$chat" >model/chat_template.jinja
echo '{"text": "Score {s}.", "placement": "system", "low": 1, "high": 10, "quantum": 0, "best": 9}' >model/goal.json
echo '{"prompt": [{"role": "user", "content": "Hi"}]}' >prompt.jsonl
shown() { # model, rows
  "$RAPT" template --model "$1" --input "$2" --add-generation-prompt
}
"$RAPT" export --model model --output baked --bake-goal 8.50 2>/dev/null
[ "$(shown baked prompt.jsonl)" = '<system>Score 8.5.<user>Hi<a>' ] || { shown baked prompt.jsonl; exit 1; }
cmp model/goal.json baked/goal.json
"$RAPT" export --model model --output best --bake-goal best 2>/dev/null
[ "$(shown best prompt.jsonl)" = '<system>Score 9.<user>Hi<a>' ]
echo '{"text": "Goal {s}", "placement": "after"}' >style.json
"$RAPT" export --model model --output styled --bake-goal 3 --goal-style style.json 2>/dev/null
[ "$(shown styled prompt.jsonl)" = "$(printf '<user>Hi\n\nGoal 3<a>')" ]
"$RAPT" export --model model --format gguf --output baked.gguf --bake-goal 7 2>/dev/null
[ "$(shown baked.gguf prompt.jsonl)" = '<system>Score 7.<user>Hi<a>' ]
"$RAPT" export --model model --format gguf --output plain.gguf 2>/dev/null
"$RAPT" export --model plain.gguf --format gguf --output again.gguf --bake-goal 6 2>/dev/null
[ "$(shown again.gguf prompt.jsonl)" = '<system>Score 6.<user>Hi<a>' ]
# Beside a GGUF with a goal lies a Modelfile, whose Go template has it too (tests/oracle/check_ollama.py renders it); beside a plain one there is none
[ ! -e plain.gguf.Modelfile ] && [ ! -e baked/Modelfile ]
has baked.gguf.Modelfile 'FROM ./baked.gguf'
has baked.gguf.Modelfile '{{ "<system>Score 7.<user>" }}'
has baked.gguf.Modelfile '{{ "<system>Score 7.\n\n" }}{{ $.System }}{{ "<user>" }}'
has again.gguf.Modelfile '{{ "<system>Score 6.<user>" }}'
[ "$(grep -c '"""' baked.gguf.Modelfile)" = 2 ]
echo '{"text": "Goal \"{s}\" \u00e9 {{ x }}", "placement": "after"}' >quoted.json
"$RAPT" export --model model --format gguf --output quoted.gguf --bake-goal 3 --goal-style quoted.json 2>/dev/null
has quoted.gguf.Modelfile '{{ if $last }}{{ "\n\nGoal \x223\x22 \xc3\xa9 {{ x }}<a>" }}{{ else }}{{ "<assistant>" }}{{ end }}'
printf '%s' "{{ strftime_now('%Y') }}$chat" >model/chat_template.jinja
"$RAPT" export --model model --format gguf --output dated.gguf --bake-goal 3 2>err
has err "that of dated.gguf.Modelfile is today's, and stays"
# a conversation that is not its messages one behind the other: none, and that is said
printf '%s' "{% for m in messages %}{{ loop.index }}{{ m['role'] }}{{ m['content'] }}{% endfor %}" >model/chat_template.jinja
touch odd.gguf.Modelfile # of an older export
"$RAPT" export --model model --format gguf --output odd.gguf --bake-goal 3 2>err
has err 'no Modelfile for Ollama'
[ -e odd.gguf ] && [ ! -e odd.gguf.Modelfile ]
printf '%s' "$chat" >model/chat_template.jinja
# A baked model is asked without a goal, and gives what the plain one gives under it.
ask() { "$RAPT" generate --input prompt.jsonl --output - --temperature 0 --max-new-tokens 4 --dtype f32 "$@" 2>/dev/null | sed 's/.*"text": \(.*\), "tokens".*/\1/'; }
[ "$(ask --model baked)" = "$(ask --model model --goal 8.5)" ]
fails 1 'asks for a goal by itself' "$RAPT" generate --model baked --goal 3 --input prompt.jsonl --output -
fails 1 'asks for a goal by itself already' "$RAPT" export --model baked --output twice --bake-goal 3
echo '{"prompt": "q", "chosen": "a", "rejected": "b", "score_chosen": 9, "score_rejected": 2}' >pair.jsonl
"$RAPT" augment --input pair.jsonl --output rows.jsonl 2>/dev/null
fails 1 'so does the model.s chat template' "$RAPT" logps --model baked --input rows.jsonl

fails 2 'a goal is a number or best' "$RAPT" export --model model --output x --bake-goal high
fails 2 'no effect without --bake-goal' "$RAPT" export --model model --output x --goal-style style.json
fails 2 'no effect with --format trl' "$RAPT" export --model model --format trl --data rows.jsonl --output x --bake-goal 3
printf '%s' "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ m['content'] }}{% endfor %}" >model/chat_template.jinja
fails 1 'which the chat template does not take' "$RAPT" export --model model --output x --bake-goal 3
rm model/chat_template.jinja
fails 1 'no chat template' "$RAPT" export --model model --output x --bake-goal 3
printf '%s' "$chat" >model/chat_template.jinja
rm model/goal.json
"$RAPT" export --model model --output default --bake-goal 3 2>err
has err 'comes without a goal.json'
shown default prompt.jsonl | seen 'Overall score: 3\.'
fails 2 'no best goal is known' "$RAPT" export --model model --output x --bake-goal best
