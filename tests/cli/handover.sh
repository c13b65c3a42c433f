#!/usr/bin/env bash
# rapt export for other trainers: the shapes of the rows, what is refused, and the settings of each preset. That the trainers' loaders take the
# files is tested in tests/oracle/check_handover.py.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
lacks() { # file, text
  if grep -qF -- "$2" "$1"; then echo "'$2' in $1"; exit 1; fi
}
absent() { # file
  [ ! -e "$1" ] || { echo "$1 is there"; exit 1; }
}
row() { # file, line
  sed -n "$2p" "$1"
}
cat >pairs.jsonl <<'EOF'
{"prompt": "Why?", "chosen": "Because.", "rejected": "No \"idea\".", "score_chosen": 8.5, "score_rejected": 7}
{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Hello ¥"}], "rejected": [{"role": "assistant", "content": "?"}], "score_chosen": 9, "score_rejected": 2}
EOF
"$RAPT" augment --input pairs.jsonl --output train.jsonl 2>/dev/null
export_to() { # format, further options...
  "$RAPT" export --format "$1" --output "out-$1" --data train.jsonl "${@:2}" 2>err || { cat err; exit 1; }
}
goal='You are an assistant that generates responses for the instruction while implicitly achieving the following target scores (on a scale of 1-10, where 1 is lowest and 10 is highest):\nOverall score: '
facts='"goal": 7.0, "goal_of": "rejected", "score_chosen": 7.0, "score_rejected": 8.5, "source_row": 0'
prompt='[{"role": "system", "content": "'$goal'7."}, {"role": "user", "content": "Why?"}]'

export_to trl --preset qwen2-7b --eval-data train.jsonl
[ "$(row out-trl/data/train.jsonl 2)" = '{"prompt": '"$prompt"', "chosen": [{"role": "assistant", "content": "No \"idea\"."}], "rejected": [{"role": "assistant", "content": "Because."}], '"$facts"', "tools": null}' ] ||
  { row out-trl/data/train.jsonl 2; exit 1; }
cmp out-trl/data/train.jsonl out-trl/data/test.jsonl
cmp out-trl/goal.json train.jsonl.goal.json
has out-trl/dpo.yaml 'beta: 0.01'
has out-trl/dpo.yaml 'learning_rate: 5.0e-07' # PyYAML reads 5e-07 as text
has out-trl/dpo.yaml 'gradient_accumulation_steps: 4'
has out-trl/README.md 'smoothed its labels by 0.3'
lacks out-trl/dpo.yaml label_smoothing # TRL would ignore it
has out-trl/run.sh 'trl dpo --config dpo.yaml --accelerate_config zero3.yaml'

# the way back: every command of it has these options, and the goal goes to the server in the messages
sed -n '/^## Back/,$p' out-trl/README.md | grep '^rapt ' >back
[ "$(wc -l <back)" = 8 ] || { cat back; exit 1; }
while IFS= read -r line; do
  eval "set -- ${line#rapt }"
  "$RAPT" "$@" --help >help.out || { echo "not a command: $line"; exit 1; }
  has help.out 'usage: rapt '
done <back
for task in generate 'eval gsm8k' 'eval multiple-choice' 'eval mt-answers'; do has back "rapt $task --endpoint http://localhost:8000/v1 --endpoint-model trained --goal 10 --goal-style goal.json "; done
has out-trl/README.md 'vllm serve out --served-model-name trained'

export_to llama-factory --preset qwen2-7b --gpus 2
[ "$(row out-llama-factory/train.jsonl 2)" = '{"conversations": '"$prompt"', "chosen": {"role": "assistant", "content": "No \"idea\"."}, "rejected": {"role": "assistant", "content": "Because."}, '"$facts"'}' ] ||
  { row out-llama-factory/train.jsonl 2; exit 1; }
has out-llama-factory/dpo.yaml 'dpo_label_smoothing: 0.3'
has out-llama-factory/dpo.yaml 'template: "qwen"'
has out-llama-factory/dpo.yaml 'gradient_accumulation_steps: 16'
absent out-llama-factory/eval.jsonl
lacks out-llama-factory/dpo.yaml eval_dataset

# Axolotl hands messages to TRL; OpenRLHF's options stand in run.sh, quoted.
export_to axolotl --preset gemma-2-9b --gpus 4 --eval-data train.jsonl
[ "$(row out-axolotl/train.jsonl 2)" = '{"prompt": '"$prompt"', "chosen": [{"role": "assistant", "content": "No \"idea\"."}], "rejected": [{"role": "assistant", "content": "Because."}], '"$facts"'}' ] ||
  { row out-axolotl/train.jsonl 2; exit 1; }
for line in 'rl: dpo' 'rl_beta: 0.01' 'micro_batch_size: 2' 'gradient_accumulation_steps: 16' 'skip_prepare_dataset: true' 'test_datasets:' '  - path: eval.jsonl' 'deepspeed: zero3.json'; do
  has out-axolotl/dpo.yaml "$line"
done
lacks out-axolotl/dpo.yaml smoothing
has out-axolotl/README.md 'smoothed its labels by 0.3'
cmp out-axolotl/train.jsonl <("$RAPT" export --format openrlhf --output out-openrlhf --data train.jsonl --preset qwen2-7b --model "it's" 2>/dev/null; cat out-openrlhf/train.jsonl)
for line in "--model.model_name_or_path 'it'\\''s'" "--data.prompt_key 'prompt'" '--model.beta 0.01' '--model.label_smoothing 0.3' '--adam.lr 5e-07' '--train.batch_size 128' \
  '--train.micro_batch_size 4' '--data.apply_chat_template'; do
  has out-openrlhf/run.sh "$line"
done
lacks out-openrlhf/run.sh eval.dataset
for folder in out-*; do sh -n "$folder/run.sh"; done

# Every preset, its model and figures (the released recipes), and another model instead.
check() { # preset, model, beta, rows a GPU, smoothing or -
  export_to llama-factory --preset "$1"
  for line in "model_name_or_path: \"$2\"" "pref_beta: $3" "per_device_train_batch_size: $4" "gradient_accumulation_steps: $((16 / $4))"; do
    has out-llama-factory/dpo.yaml "$line"
  done
  if [ "$5" = - ]; then lacks out-llama-factory/dpo.yaml smoothing; else has out-llama-factory/dpo.yaml "dpo_label_smoothing: $5"; fi
}
check mistral-7b mistralai/Mistral-7B-Instruct-v0.3 0.01 8 -
grep -q 'published run of mistralai/Mistral-7B-Instruct-v0.3 had the goal in placement user' err
check qwen2-7b Qwen/Qwen2-7B-Instruct 0.01 4 0.3
lacks err 'published run'
check llama-3.1-8b meta-llama/Llama-3.1-8B-Instruct 0.01 4 -
has out-llama-factory/README.md 'none was published for this one'
check gemma-2-9b google/gemma-2-9b-it 0.01 2 0.3
check sppo-gemma-2-9b UCLA-AGI/Gemma-2-9B-It-SPPO-Iter3 0.01 2 -
export_to llama-factory --preset qwen2-7b --model some/thing
has out-llama-factory/dpo.yaml 'model_name_or_path: "some/thing"'
lacks out-llama-factory/dpo.yaml template

# Strings stay strings for TRL only.
printf '{"prompt": "Q:", "chosen": " a", "rejected": " b"}\n' >strings.jsonl
"$RAPT" export --format trl --model M --data strings.jsonl --output s-trl 2>/dev/null
[ "$(cat s-trl/data/train.jsonl)" = '{"prompt": "Q:", "chosen": " a", "rejected": " b", "goal": null, "goal_of": null, "score_chosen": null, "score_rejected": null, "source_row": -1, "tools": null}' ]
absent s-trl/goal.json
lacks s-trl/run.sh goal.json
"$RAPT" export --format llama-factory --model M --data strings.jsonl --output s-lf 2>/dev/null
has s-lf/train.jsonl '{"conversations": [{"role": "user", "content": "Q:"}], "chosen": {"role": "assistant", "content": " a"}'
has s-lf/README.md "strings became a user's and an assistant's turn"

# Completions.
printf '{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}], "score": 3}\n' >sft.jsonl
"$RAPT" export --format trl --model M --data sft.jsonl --output c-trl 2>/dev/null
has c-trl/data/train.jsonl '{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}], "goal": null, "goal_of": null, "score": 3.0'
has c-trl/run.sh 'trl sft --config sft.yaml'
"$RAPT" export --format llama-factory --model M --data sft.jsonl --output c-lf 2>/dev/null
has c-lf/train.jsonl '{"conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]'
has c-lf/sft.yaml 'stage: sft'

"$RAPT" export --format axolotl --model M --data sft.jsonl --output c-ax 2>/dev/null
has c-ax/train.jsonl '{"messages": [{"role": "user", "content": "q", "train": false}, {"role": "assistant", "content": "a", "train": true}]'
has c-ax/sft.yaml 'message_field_training: train'
"$RAPT" export --format openrlhf --model M --data sft.jsonl --output c-or 2>/dev/null
has c-or/run.sh 'openrlhf.cli.train_sft'
has c-or/run.sh "--data.output_key 'completion'"

# Refused: what a loader would pass over or misread, and what has no effect.
refuse() { # pattern, format, row...
  printf '%s\n' "${@:3}" >bad.jsonl
  fails 1 "$1" "$RAPT" export --format "$2" --model M --data bad.jsonl --output bad
  absent bad/train.jsonl
  absent bad/data/train.jsonl
}
good='{"prompt": "q", "chosen": "a", "rejected": "b"}'
refuse 'bad.jsonl:1: the row has 2 responses; rapt augment' trl '{"prompt": "q", "responses": [{"text": "a", "score": 1}, {"text": "b", "score": 2}]}'
refuse 'bad.jsonl:2: the row is a completion, the first one is a pair' llama-factory "$good" '{"prompt": "q", "completion": "a"}'
refuse "bad.jsonl:2: the row's texts are messages" trl "$good" '{"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]}'
refuse 'prompt_ids' trl '{"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3]}'
refuse 'a prompt without a response' trl '{"prompt": "q"}'
refuse 'field label' trl '{"prompt": "q", "completion": "a", "label": true}'
refuse 'field prompt: empty' trl '{"prompt": "", "chosen": "a", "rejected": "b"}'
conversation() { # prompt messages, chosen messages
  printf '{"prompt": [%s], "chosen": [%s], "rejected": [{"role": "assistant", "content": "b"}]}' "$1" "$2"
}
user='{"role": "user", "content": "q"}' bot='{"role": "assistant", "content": "a"}'
refuse 'message 2 is of role user; LLaMA-Factory' llama-factory "$(conversation "$user, $user" "$bot")"
refuse "does not end with a user's turn" llama-factory "$(conversation "$user, $bot" "$bot")"
refuse 'field chosen: 3 messages' llama-factory "$(conversation "$user" "$bot, $user, $bot")"
refuse 'reads role and content of a message, not "name"' llama-factory "$(conversation '{"role": "user", "content": "q", "name": "n"}' "$bot")"
refuse 'takes "content" as a string, not an array' trl "$(conversation '{"role": "user", "content": [{"type": "text", "text": "q"}]}' "$bot")"
refuse 'no place for tools' llama-factory "{\"tools\": [{\"name\": \"f\"}], $(conversation "$user" "$bot" | cut -c2-)"
refuse 'no rows' trl ''
fails 2 'needs --data' "$RAPT" export --format trl --model M --output x
fails 2 'no effect with --format hf' "$RAPT" export --format hf --model M --output x --preset qwen2-7b
fails 2 'no effect with --format trl' "$RAPT" export --format trl --adapter A --data train.jsonl --output x
fails 2 '--model NAME or --preset NAME' "$RAPT" export --format trl --data train.jsonl --output x
fails 2 'multiple of 8 rows a GPU' "$RAPT" export --format trl --preset mistral-7b --gpus 3 --data train.jsonl --output x
fails 2 'is of preference training' "$RAPT" export --format trl --preset mistral-7b --data sft.jsonl --output x
touch M.gguf
fails 2 'start from a Hugging Face folder' "$RAPT" export --format trl --model M.gguf --data train.jsonl --output x
mkdir M
fails 2 'is the model itself' "$RAPT" export --format trl --model M --data train.jsonl --output M
