#!/usr/bin/env bash
# Saving a model, exporting one and going on from a checkpoint take no more memory than training it: tensors are written and read piece by piece.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
nm "$RAPT" | seen __asan && { echo "skipped: a sanitized build has memory of its own"; exit 77; }
cp -r "$tests/golden/llama_tiny" "$dir/model"
# The same model with 15 million weights, 58 MB.
python3 - "$dir/model" <<'PY'
import array, json, random, struct, sys
folder = sys.argv[1]
config = json.load(open(f"{folder}/config.json"))
c, f, heads, kv, d = 512, 4096, 8, 4, 64
config.update(hidden_size=c, intermediate_size=f, num_attention_heads=heads, num_key_value_heads=kv, head_dim=d)
json.dump(config, open(f"{folder}/config.json", "w"))
shapes = {"model.embed_tokens": (config["vocab_size"], c), "model.norm": (c,)}
for i in range(config["num_hidden_layers"]):
    at = f"model.layers.{i}"
    shapes |= {f"{at}.input_layernorm": (c,), f"{at}.post_attention_layernorm": (c,), f"{at}.mlp.gate_proj": (f, c), f"{at}.mlp.up_proj": (f, c), f"{at}.mlp.down_proj": (c, f),
               f"{at}.self_attn.q_proj": (heads * d, c), f"{at}.self_attn.k_proj": (kv * d, c), f"{at}.self_attn.v_proj": (kv * d, c), f"{at}.self_attn.o_proj": (c, heads * d)}
random.seed(1)
some = array.array("f", (random.gauss(0, 0.02) for _ in range(4096)))
header, at = {}, 0
for name, shape in shapes.items():
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    header[f"{name}.weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * count]}
    at += 4 * count
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(f"{folder}/model.safetensors", "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text)
    for x in header.values():
        count = (x["data_offsets"][1] - x["data_offsets"][0]) // 4
        out.write((some * (count // 4096 + 1))[:count].tobytes())
PY
peak() { # MB of resident memory, command...
  python3 - "$@" <<'PY'
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
if done.returncode: sys.exit(done.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
PY
}
within() { # what, MB, MB allowed
  [ "$2" -le "$3" ] || { echo "$1: $2 MB, more than $3"; exit 1; }
}
train() { peak "$RAPT" train --model "$dir/model" --train-data "$tests/golden/trl/train.jsonl" --dtype f32 --threads 1 --full --per-device-train-batch-size 2 --micro-batch-tokens 128 \
  --logging-steps 1 --save-steps 1 "$@"; }
trained() { python3 -c 'import json, sys; print(max(json.loads(line)["peak_rss_bytes"] for line in open(sys.argv[1])) >> 20)' "$dir/$1/metrics.jsonl"; }
# The end of a step is logged before it is saved, and the first step has touched all that training needs.
whole=$(train --output-dir "$dir/one" --max-steps 1)
within "training and saving" "$whole" $(($(trained one) + 25))
train --output-dir "$dir/two" --max-steps 2 >/dev/null
cp -r "$dir/two" "$dir/on"
rm -rf "$dir/on/checkpoint-2"
within "going on from a checkpoint" "$(train --output-dir "$dir/on" --max-steps 2 --resume)" $((whole + 25))
cmp "$dir/two/model.safetensors" "$dir/on/model.safetensors"
# 58 MB of the file itself, and no copy.
within "exporting" "$(peak "$RAPT" export --model "$dir/model" --dtype bf16 --output "$dir/hf")" 110
