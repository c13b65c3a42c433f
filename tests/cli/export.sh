#!/usr/bin/env bash
# rapt export: what each form takes, what is refused, that the goal travels with a GGUF, and that a stopped export leaves nothing behind.
. "$(dirname "$0")/lib.sh"
golden=$tests/golden
model=$golden/llama_tiny
cd "$dir"
export_() { "$RAPT" export "$@" 2>err; }

# Every form has an example in --help, and needs what it says.
"$RAPT" export --help >help
for format in hf gguf gguf-lora; do
  has help "--format $format "
  fails 2 "--format $format needs --model" "$RAPT" export --format $format --output x.gguf
  fails 2 "--format $format needs --output" "$RAPT" export --format $format --model "$model" --adapter a
done
fails 2 "--format gguf-lora needs --adapter" "$RAPT" export --format gguf-lora --model "$model" --output x.gguf
fails 2 "expects one of hf" "$RAPT" export --format onnx --model "$model" --output x
fails 2 "--format hf takes --dtype f32|f16|bf16, not q8_0" "$RAPT" export --model "$model" --output x --dtype q8_0
fails 2 "the name of a .gguf file is wanted" "$RAPT" export --model "$model" --format gguf --output x
mkdir folder.gguf
fails 2 "is a folder; a file is wanted" "$RAPT" export --model "$model" --format gguf --output folder.gguf
fails 1 "a reward model has no form" "$RAPT" export --model "$golden/reward_tiny" --format gguf --output x.gguf
fails 1 "missing/x.gguf" "$RAPT" export --model "$model" --format gguf --output missing/x.gguf
[ "$(ls)" = "$(printf 'err\nfolder.gguf\nhelp\nout')" ] || { ls; exit 1; }

# The GGUF is the model: log-probs of the same rows.
logps() { "$RAPT" logps --input "$golden/trl/eval.jsonl" --dtype f32 --threads 1 "$@" 2>/dev/null; }
export_ --model "$model" --adapter "$golden/llama_tiny_lora" --format gguf --output merged.gguf
logps --model "$model" --adapter "$golden/llama_tiny_lora" >want
logps --model merged.gguf >got
near() { # sums of two logps files, within 1e-4 of each
  paste <(grep -oE '"logps_(chosen|rejected)": -?[0-9.]+' "$1" | awk '{print $2}') <(grep -oE '"logps_(chosen|rejected)": -?[0-9.]+' "$2" | awk '{print $2}') |
    awk 'NF != 2 { print "counts differ"; exit 1 } { d = $1 - $2; if (d < 0) d = -d; if (d > 1e-3) { print; exit 1 } n++ } END { exit n < 4 }'
}
near want got
export_ --model merged.gguf --format gguf --dtype q8_0 --output q8.gguf
"$RAPT" inspect q8.gguf >inspected
has inspected F16 # rows of 24 fill no block of 32

# Over an old file, and twice the same bytes.
cp merged.gguf first.gguf
export_ --model "$model" --adapter "$golden/llama_tiny_lora" --format gguf --output merged.gguf
cmp first.gguf merged.gguf

# The goal goes into the file, comes out of it, and generate asks by it.
cp -r "$golden/llama_tiny_lora" adapter
echo '{"text": "goal {s} of {b}:", "placement": "user", "low": 0, "high": 9, "quantum": 0, "histogram": {"3": 1, "8": 1}}' >adapter/goal.json
export_ --model "$model" --adapter adapter --format gguf --output goal.gguf
export_ --model goal.gguf --output back
cmp adapter/goal.json back/goal.json
ask() { "$RAPT" generate --prompt "a cat" --goal 8 --temperature 0 --max-new-tokens 4 --dtype f32 --threads 1 --raw --json "$@" 2>said; }
ask --model goal.gguf >from_gguf
grep -q "goal 8" said && ! grep -q "comes without" said
ask --model "$model" --adapter adapter >from_folder
[ "$(grep -oE '"text": "[^"]*"' from_gguf)" = "$(grep -oE '"text": "[^"]*"' from_folder)" ]
fails 1 "its goal: " "$RAPT" generate --model "$(sed 's/"placement": "user"/"placement": "nowh"/' goal.gguf >bad.gguf; echo bad.gguf)" --prompt a --goal 8

# An adapter for llama.cpp.
export_ --model "$model" --adapter adapter --format gguf-lora --dtype f16 --output lora.gguf
head -c 4 lora.gguf | seen GGUF
