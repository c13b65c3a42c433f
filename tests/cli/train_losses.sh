#!/usr/bin/env bash
# Which options belong to which loss: an option without effect, or a combination that makes no sense, is refused with a message that says so.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
golden=$tests/golden
train=("$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --output-dir "$dir/run" --dtype f32 --threads 1 --max-steps 1)
refused() { # message, options...
  local message=$1
  shift
  fails 2 "$message" "${train[@]}" "$@"
}
refused "has no loss 'foo'; there are: sigmoid," --loss-type foo
refused "has no loss 'mse'" --loss-type mse
refused "names hinge twice" --loss-type hinge,hinge
refused "2 weights for the 1 losses" --loss-weights 1,2
refused "weight of sft must be a number above 0" --loss-type sigmoid,sft --loss-weights 1,0
refused "expects numbers, not 'x'" --loss-type sigmoid,sft --loss-weights 1,x
refused "loss-weights has no effect with --objective sft" --objective sft --loss-weights 1
refused "beta has no effect with --loss-type sft" --loss-type sft --beta 0.2
refused "label-smoothing has no effect with --loss-type hinge,sft (it belongs to sigmoid" --loss-type hinge,sft --label-smoothing 0.1
refused "f-divergence-type has no effect with --loss-type nca_pair" --loss-type nca_pair --f-divergence-type forward_kl
refused "f-divergence-type has no effect with --loss-type nca_pair" --loss-type sigmoid,nca_pair --f-divergence-type forward_kl
refused "f-divergence-type has no effect with --loss-type sft" --loss-type sft --f-divergence-type forward_kl
refused "f-alpha-divergence-coef has no effect with --f-divergence-type js_divergence" --f-divergence-type js_divergence --f-alpha-divergence-coef 0.3

# every loss of the tables is named in the help
"$RAPT" train --help | tr -s ' \n' ' ' >"$dir/help"
has "$dir/help" "of dpo: sigmoid, hinge,"
has "$dir/help" "adamw, sgd"
has "$dir/help" "linear, cosine,"
