#!/bin/sh
# One cell of docs/search.md: data, goal-conditioned SFT (shared between cells that have it in common), preference training, log-probs of the test pairs.
#   RAPT=build/release/rapt MODEL=M.gguf DATA=scored.jsonl OUT=runs/search bench/search.sh NAME [VARIABLE=VALUE ...]
# Variables and the base setting's values are below. Leaves $OUT/NAME.logps.jsonl, to be compared by `rapt eval goal-accuracy` with $OUT/base-*.jsonl of the same pairs.
set -eu
name=$1
shift
split=0.45 keep=0.3 # test pairs: prompts under $split, but not under $keep, which is held out for the end; keep=0: all of them
test=               # a file of its own for the test pairs; then nothing of DATA is held out
placement=after template= quantize=1 seed=42 length=256
goal_tokens=        # special tokens of the model, one a goal, with commas between them
augment_args=       # e.g. --on-disagree relabel, where a rule orders pairs otherwise than the file does
sft=48 sft_rate=1e-3 sft_args=
steps=32 rate=5e-4 beta=0.1 loss=sigmoid order=paired mode=own rule=best-worst args=
threads=1
for pair in "$@"; do eval "${pair%%=*}=\${pair#*=}"; done
rapt() { OMP_NUM_THREADS=$threads nice -n 2 "$RAPT" "$@" 2>>"$OUT/log"; }
mkdir -p "$OUT"

goal() {
    if [ -n "$template" ]; then set -- "$@" --goal-template "$template"; fi
    if [ -n "$goal_tokens" ]; then set -- "$@" --goal-tokens "$goal_tokens"; fi
    rapt augment --input "$input" --placement $placement --quantize $quantize --seed $seed $augment_args "$@"
}
# The same pairs for all cells, and the held-out prompts nowhere: first without them, then split once more.
key=$(printf '%s' "$DATA.$test.$split.$keep.$placement.$template$goal_tokens.$quantize.$mode.$rule.$seed" | cksum | cut -d' ' -f1)
data=$OUT/data-$key
if [ ! -e "$data" ]; then
    mkdir -p "$data.part"
    input=$DATA
    part="--split $split --test-output $data.part/unused.jsonl"
    if [ -n "$test" ]; then
        part=
        input=$test
        goal --rule all --output "$data.part/test.jsonl" >"$data.part/log"
        input=$DATA
    else goal --rule all --split "$split" --output "$data.part/unused.jsonl" --test-output "$data.part/test-all.jsonl" >"$data.part/log"; fi
    if [ -n "$test" ]; then :; elif [ "$keep" = 0 ]; then mv "$data.part/test-all.jsonl" "$data.part/test.jsonl"; else
        goal --rule all --split "$keep" --output "$data.part/unused.jsonl" --test-output "$data.part/held-out.jsonl" >>"$data.part/log"
        grep -vxFf "$data.part/held-out.jsonl" "$data.part/test-all.jsonl" >"$data.part/test.jsonl"
    fi
    goal --mode sft $part --output "$data.part/sft.jsonl" >>"$data.part/log"
    [ "$mode" = none ] || goal --mode $mode --rule $rule $part --output "$data.part/train.jsonl" >>"$data.part/log"
    mv "$data.part" "$data"
fi
common="--model $MODEL --max-length $length --threads $threads"
training="$common --lr-scheduler-type cosine --warmup-ratio 0.1 --per-device-train-batch-size 8 --logging-steps 1 --seed $seed"
base=$OUT/base-$(cksum <"$data/test.jsonl" | cut -d' ' -f1)-$(basename "$MODEL").jsonl
[ -e "$base" ] || rapt logps $common --input "$data/test.jsonl" --output "$base"
start=$(date +%s)
from=
if [ "$sft" -gt 0 ]; then
    from=$OUT/sft-$(printf '%s' "$MODEL.$(cksum <"$data/sft.jsonl").$sft.$sft_rate.$sft_args.$seed.$length" | cksum | cut -d' ' -f1)
    [ -e "$from/manifest.json" ] || rapt train $training --objective sft --max-steps "$sft" --learning-rate "$sft_rate" --train-data "$data/sft.jsonl" --output-dir "$from" $sft_args
fi
if [ "$mode" = none ]; then policy=$from; else
    policy=$OUT/$name
    case " $args " in
    *" --full "*) [ -z "$from" ] || training="--model $from ${training#--model "$MODEL"}" ;;
    *) [ -z "$from" ] || training="$training --adapter $from" ;;
    esac
    train=$data/train.jsonl order="--order $order"
    if [ "$order" = "--order gap" ]; then # wide gaps first, in every epoch: the file sorted, its order kept
        train=$data/train-gap.jsonl order=--no-shuffle
        python3 -c 'import json, sys
for line in sorted(sys.stdin, key=lambda l: -abs(json.loads(l)["score_chosen"] - json.loads(l)["score_rejected"])): sys.stdout.write(line)' <"$data/train.jsonl" >"$train"
    fi
    # shellcheck disable=SC2086 # words
    rapt train $training --loss-type "$loss" $order --beta "$beta" --max-steps "$steps" --learning-rate "$rate" --train-data "$train" \
        --output-dir "$policy" $args
fi
case " $args " in
*" --full "*) rapt logps --model "$policy" ${common#--model "$MODEL"} --input "$data/test.jsonl" --output "$OUT/$name.logps.jsonl" ;;
*) rapt logps $common --adapter "$policy" --input "$data/test.jsonl" --output "$OUT/$name.logps.jsonl" ;;
esac
rapt eval goal-accuracy --logps "$name=$OUT/$name.logps.jsonl" --reference "$base" --json >"$OUT/$name.json"
echo "$name: $(($(date +%s) - start)) s"
