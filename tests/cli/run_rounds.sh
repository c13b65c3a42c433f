#!/usr/bin/env bash
# rapt run over on-policy rounds (repeat): killed once in every stage and started again, no stage is done twice and the end is that of a run that nothing
# stopped. The recipes of recipes/ are whole.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$tests/cli/run_lib.sh"
export OMP_NUM_THREADS=1
tiny=$tests/golden/llama_tiny
cd "$dir"
printf '{"prompt": "%s"}\n' "the cat sat" "go to the dog" "me" "the old house" >prompts.jsonl
cat >rounds.yaml <<Y
output: runs/a
vars: {model: "$tiny", rounds: 2, reference: ""}
defaults:
  training: &training {model: "\${model}", dtype: f32, threads: 1, max-steps: 12, learning-rate: 1e-3, per-device-train-batch-size: 2, max-length: 64, logging-steps: 1, save-steps: 3, lora-r: 4}
  sampling: &sampling {model: "\${model}", dtype: f32, threads: 1, raw: true, input: prompts.jsonl, max-new-tokens: 12}
  rule: &rule {source: rule, rule: length, length: 6}
  goal: &goal {placement: user, goal-template: "aim at {s}", quantize: 1}
stages:
  - {name: sample-0, run: generate, with: {<<: *sampling, n: 6, output: "\${output}/round-0/samples.jsonl"}}
  - {name: score-0, run: score, with: {<<: *rule, input: "\${output}/round-0/samples.jsonl", output: "\${output}/round-0/scored.jsonl"}}
  - {name: augment-0, run: augment, with: {<<: *goal, mode: sft, input: "\${output}/round-0/scored.jsonl", output: "\${output}/round-0/train.jsonl"}}
  - {name: train-0, run: train, with: {<<: *training, objective: sft, train-data: "\${output}/round-0/train.jsonl", output-dir: "\${output}/round-0/policy"}}
  - repeat: "\${rounds}"
    stages:
      - {name: "sample-\${round}", run: generate, with: {<<: *sampling, adapter: "\${output}/round-\${previous}/policy", goal: "3,8", n: 4, seed: "\${round}", output: "\${output}/round-\${round}/samples.jsonl"}}
      - {name: "score-\${round}", run: score, with: {<<: *rule, input: "\${output}/round-\${round}/samples.jsonl", output: "\${output}/round-\${round}/scored.jsonl"}}
      - {name: "pair-\${round}", run: pair, with: {rule: best-worst, input: "\${output}/round-\${round}/scored.jsonl", output: "\${output}/round-\${round}/pairs.jsonl", picture: "\${output}/round-\${round}/margins.svg"}}
      - {name: "augment-\${round}", run: augment, with: {<<: *goal, input: "\${output}/round-\${round}/pairs.jsonl", output: "\${output}/round-\${round}/train.jsonl"}}
      - {name: "reference-\${round}", run: logps, with: {model: "\${model}", dtype: f32, threads: 1, max-length: 64, adapter: "\${reference:-\${output}/round-\${previous}/policy}", input: "\${output}/round-\${round}/train.jsonl", output: "\${output}/round-\${round}/reference.jsonl"}}
      - {name: "train-\${round}", run: train, with: {<<: *training, adapter: "\${output}/round-\${previous}/policy", lora-r: null, train-data: "\${output}/round-\${round}/train.jsonl", ref-logps: "\${output}/round-\${round}/reference.jsonl", output-dir: "\${output}/round-\${round}/policy"}}
  - {name: curve, run: eval goal-curve, with: {samples: "policy=\${output}/round-\${rounds}/scored.jsonl", resamples: 200, best-output: "\${output}/round-\${rounds}/policy/goal.json"}, stdout: "\${output}/curve.txt"}
Y
"$RAPT" run rounds.yaml --dry-run >lines 2>err || { cat err; exit 1; }
grep -q '^# \[11/17\] sample-2$' lines
grep -q -- '--adapter runs/a/round-1/policy' lines
[ "$(grep -c '^rapt ' lines)" = 17 ]
"$RAPT" run rounds.yaml --dry-run --set rounds=1 2>/dev/null | grep -c '^rapt ' | seen '^11$'
"$RAPT" run rounds.yaml --dry-run --set reference=runs/a/round-0/policy 2>/dev/null | grep '^rapt logps' | grep -c -- '--adapter runs/a/round-0/policy' | seen '^2$'
"$RAPT" run rounds.yaml >out 2>err || { tail -5 err; exit 1; }
grep -q '17 stages run, 0 kept' err
"$RAPT" run rounds.yaml 2>err # the best goal, written into the policy's folder, makes nothing run again
grep -q '0 stages run, 17 kept' err
# killed in each stage in turn
: >log
for i in $(seq 17); do killed_in $i 17 runs/b rounds.yaml --set output=runs/b; done
finished 17 rounds.yaml --set output=runs/b
untimed() { sed -E 's/, "(tokens_per_second|peak_rss_bytes|minor_faults|eval_runtime)": [^,}]*//g; s#runs/[ab]/#runs/#g' "$1"; }
for f in round-{0,1,2}/{samples,scored,train}.jsonl round-{1,2}/{pairs,reference}.jsonl round-{1,2}/margins.svg round-{0,1,2}/policy/metrics.jsonl round-2/policy/goal.json curve.txt; do
  diff <(untimed runs/a/$f) <(untimed runs/b/$f) >/dev/null || { echo "$f differs from that of the run that nothing stopped"; exit 1; }
done
for r in 0 1 2; do cmp runs/a/round-$r/policy/adapter_model.safetensors runs/b/round-$r/policy/adapter_model.safetensors; done
# refusals
refused() { # pattern, sed expression
  sed "$2" rounds.yaml >bad.yaml
  fails "${3:-1}" "$1" "$RAPT" run bad.yaml --dry-run
}
refused 'bad.yaml:[0-9]*: repeat expects 1 to 256, not .0.' 's/repeat: .*/repeat: 0/'
refused 'bad.yaml:[0-9]*: two stages are called score' 's/name: "score-.{round}"/name: score/'
refused "bad.yaml:[0-9]*: unknown key 'times' in a repeat" 's/  - repeat: .*/  - repeat: 2\n    times: 3/'
refused 'is what repeat counts with' 's/rounds: 2,/rounds: 2, round: 3,/'
refused 'more than 256 stages' 's/repeat: .*/repeat: 200/'
refused 'round. is neither in vars' 's/name: curve/name: "curve-${round}"/'
# every recipe is whole: stages, options, and files that are made before they are read
touch model.gguf
cd "$tests/.."
for recipe in recipes/*.yaml examples/*.yaml; do
  RAPT_MODEL=$dir/model.gguf "$RAPT" run "$recipe" --dry-run >/dev/null 2>"$dir/err" || { cat "$dir/err"; exit 1; }
  grep -qi 'minute' "$recipe" || { echo "$recipe does not say how long it takes"; exit 1; }
done
