#!/bin/sh
# How a goal reaches the response: the goal-dependent part of DPO's gradient beside the goal-blind one, over all weights, where policy and reference are equal (docs/search.md).
#   RAPT=build/release/rapt bench/goal_gradient.sh MODEL PAIRS.jsonl
# PAIRS: rows of `rapt augment --mode own`, the two halves of a pair behind each other. With a and b the gradients of a pair's halves, steps of one row log |a| and |b|, steps of two
# |a + b| / 2, and |a - b|^2 = 2 |a|^2 + 2 |b|^2 - |a + b|^2. One step of all rows logs |mean of a, b|; where pairs have nothing in common it is 1/sqrt(N) of the pairs' own.
# Rates of 1e-30 leave the weights where they are. f32, since a + b is a small difference of large numbers.
set -eu
model=$1 pairs=$2
rows=$(wc -l <"$pairs")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
norms() { # rows a step
    "$RAPT" train --model "$model" --train-data "$pairs" --output-dir "$work/run" --full --dtype f32 --max-length 256 --no-shuffle --learning-rate 1e-30 --logging-steps 1 \
        --per-device-train-batch-size "$1" --max-steps $((rows / $1)) --threads "${THREADS:-1}" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    sed 's/.*"grad_norm": \([-+.0-9e]*\).*/\1/' "$work/run/metrics.jsonl"
    rm -rf "$work/run"
}
norms 1 >"$work/one"
norms 2 >"$work/two"
norms "$rows" >"$work/all"
paste -d' ' - - <"$work/one" | paste -d' ' - "$work/two" | awk -v all="$(cat "$work/all")" '
    { s = 2 * $3; d = sqrt(2 * $1 * $1 + 2 * $2 * $2 - s * s); blind += d / 2; goal += s / 2; ratio[NR] = s / d }
    END {
        for (i = 2; i <= NR; i++) { for (j = i; j > 1 && ratio[j] < ratio[j - 1]; j--) { t = ratio[j]; ratio[j] = ratio[j - 1]; ratio[j - 1] = t } }
        printf "pairs %d  goal-blind |a - b| / 2: %.3f  goal-dependent |a + b| / 2: %.3f  ratio, median %.4f (%.4f to %.4f)  common to all pairs: %.3f (1/sqrt(N): %.3f)\n",
               NR, blind / NR, goal / NR, ratio[int((NR + 1) / 2)], ratio[1], ratio[NR], all / (goal / NR), 1 / sqrt(NR)
    }'
