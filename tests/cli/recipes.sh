#!/usr/bin/env bash
# Every recipe of recipes/, tiny: with a model of two layers and a few rows, killed in stages that are drawn anew each time, then run to its end. No stage is done twice.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/cli/run_lib.sh"
command -v perl >/dev/null || { echo "skipped: no perl, which recipes/capitals.pl needs"; exit 77; }
export OMP_NUM_THREADS=1 RAPT_MODEL=$tests/golden/score_chat
echo "seed of this run's kill points: ${RANDOM_SEED:=$RANDOM}"; RANDOM=$RANDOM_SEED
cd "$tests/.." # recipes name their files from here
head -24 examples/preferences.jsonl >"$dir/data.jsonl"
head -4 recipes/held-out-prompts.jsonl >"$dir/test.jsonl"
tail -12 examples/preferences.jsonl >"$dir/other.jsonl"
pairs=data=$dir/data.jsonl,steps=4
samples=prompts=$dir/data.jsonl,limit=8,tokens=24,sft-steps=4,steps=4
rounds=$samples,test-prompts=$dir/test.jsonl,first-samples=4
small() { # the settings that make a recipe tiny
  case $1 in
    losses-and-scales | search-rule | study-expansion) echo "$pairs,sft-steps=4" ;;
    attributes) echo "$pairs,sft-steps=4,split=0.3" ;;
    off-policy) echo "$pairs,test-prompts=$dir/test.jsonl" ;;
    real-pairs) echo "$pairs,sft-steps=4,max-length=512" ;;
    study-implicit-reward) echo "$pairs,fold-steps=2" ;;
    study-extrapolation) echo "$samples,test-prompts=$dir/test.jsonl,words=4,samples=4,plain-samples=2,test-samples=1" ;;
    study-unlearning) echo "$samples,words=4,samples=4,seeds=1,held-out=$dir/other.jsonl" ;;
    on-policy-attributes) echo "$rounds,test-samples=1,words=4" ;;
    on-policy-rule) echo "$rounds" ;;
    on-policy-reward-model) echo "$rounds,pairs-data=$dir/data.jsonl,eval-pairs=$dir/other.jsonl,reward-steps=4" ;;
    *) echo "recipes/$1.yaml: a line that makes it tiny is missing in tests/cli/recipes.sh" >&2; exit 1 ;;
  esac
}
for file in recipes/*.yaml; do
  name=$(basename "$file" .yaml)
  settings=$(small "$name")
  args=("$file" --set "output=$dir/$name,$settings")
  "$RAPT" run "${args[@]}" --dry-run >"$dir/plan" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
  count=$(grep -c '^rapt ' "$dir/plan")
  : >"$dir/log"
  for stage in $(for _ in 1 2 3; do echo $((RANDOM % count + 1)); done | sort -n); do
    killed_in "$stage" "$count" "$dir/$name" "${args[@]}"
  done
  finished "$count" "${args[@]}"
done
