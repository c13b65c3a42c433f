#!/usr/bin/env bash
# rapt run: a pipeline, what is kept and what runs again, refusals before anything runs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pid=
trap '[ -z "$pid" ] || kill -9 $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
unset RECIPE_INPUT
expect() { # the [n/m] lines on stderr, times and titles cut off
    grep -o '\[[0-9]/[0-9]\] [a-z]*: \(done before, kept\|done in\|.*\)' err | sed 's/done in.*/done/' >got
    diff - got || { cat err; exit 1; }
}
cat >in.jsonl <<'J'
{"prompt":"q1","responses":[{"text":"a","score":3},{"text":"b","score":8},{"text":"c","score":5}]}
{"prompt":"q2","responses":[{"text":"d","score":2},{"text":"e","score":9}]}
J
cat >r.yaml <<'Y'
output: runs/a
vars: {input: "${RECIPE_INPUT:-in.jsonl}", rule: best-worst, mode: own}
closing: look at ${output}/look.txt
stages:
  - name: pair
    run: pair
    title: two of each
    with: {input: "${input}", output: "${output}/pairs/p.jsonl", rule: "${rule}", json: true}
    stdout: "${output}/pairs/counts.json"
  - name: augment
    run: augment
    with: {input: "${output}/pairs/p.jsonl", output: "${output}/train.jsonl", mode: "${mode}"}
  - name: look
    run: inspect
    args: ["${output}/train.jsonl"]
    stdout: "${output}/look.txt"
Y
"$RAPT" run r.yaml >out 2>err
[ ! -s out ]
expect <<'W'
[1/3] pair: two of each
[1/3] pair: done
[2/3] augment: rapt augment
[2/3] augment: done
[3/3] look: rapt inspect
[3/3] look: done
W
grep -q '"pairs_written": 2}' runs/a/pairs/counts.json
[ "$(wc -l <runs/a/train.jsonl)" = 4 ]
[ -s runs/a/look.txt ]
grep -q '3 stages run, 0 kept' err
[ "$(tail -1 err)" = 'look at runs/a/look.txt' ]
# nothing changed
"$RAPT" run r.yaml 2>err
expect <<'W'
[1/3] pair: done before, kept
[2/3] augment: done before, kept
[3/3] look: done before, kept
W
# a changed option: that stage and what depends on it
"$RAPT" run r.yaml --set mode=plain 2>err
expect <<'W'
[1/3] pair: done before, kept
[2/3] augment: rapt augment
[2/3] augment: done
[3/3] look: rapt inspect
[3/3] look: done
W
# a changed input that leaves the pairs as they were: what follows is kept
echo '{"prompt":"q3","responses":["f","f"],"rewards":[1,2]}' >>in.jsonl
"$RAPT" run r.yaml --set mode=plain 2>err
expect <<'W'
[1/3] pair: two of each
[1/3] pair: done
[2/3] augment: done before, kept
[3/3] look: done before, kept
W
# a missing output; --only; --from; --force
rm runs/a/look.txt
"$RAPT" run r.yaml --set mode=plain --from augment 2>err
expect <<'W'
[2/3] augment: done before, kept
[3/3] look: rapt inspect
[3/3] look: done
W
"$RAPT" run r.yaml --set mode=plain --only augment --force 2>err
expect <<'W'
[2/3] augment: rapt augment
[2/3] augment: done
W
# --dry-run prints lines that a shell runs to the same end, and makes nothing
"$RAPT" run r.yaml --dry-run --set "output=runs/b c" >lines 2>err
[ ! -e 'runs/b c' ]
mkdir -p 'runs/b c/pairs'
(rapt() { "$RAPT" "$@"; }; . ./lines) 2>/dev/null
"$RAPT" run r.yaml 2>/dev/null
cmp runs/a/train.jsonl 'runs/b c/train.jsonl'
cmp runs/a/pairs/counts.json 'runs/b c/pairs/counts.json'
# a failing stage: what it was, exit 1, nothing half written, and it runs again
echo broken >bad.jsonl
code=0
RECIPE_INPUT=bad.jsonl "$RAPT" run r.yaml --set output=runs/bad 2>err || code=$?
[ "$code" = 1 ]
grep -q 'stage pair (r.yaml:5): bad.jsonl:1' err
[ ! -e runs/bad/pairs/counts.json ]
[ -z "$(find runs/bad -name '*.tmp.*')" ]
# one run at a time in a folder
{ yes "$(head -1 in.jsonl)" || true; } | head -400000 >big.jsonl
"$RAPT" run r.yaml --set input=big.jsonl,output=runs/slow >out 2>err2 &
pid=$!
until [ -e runs/slow/recipe-state.json ]; do sleep 0.01; done
kill -STOP $pid
fails 1 'runs/slow: another rapt run is at work' "$RAPT" run r.yaml --set output=runs/slow
kill -CONT $pid
wait $pid || { cat err2; exit 1; }
mkfifo pipe.jsonl
fails 1 'stage pair: pipe.jsonl: a stage reads files and folders' timeout 20 "$RAPT" run r.yaml --set input=pipe.jsonl
# refusals come before the first stage
sed 's/mode: "${mode}"/mood: own/' r.yaml >typo.yaml
fails 2 'typo.yaml:10: stage augment: unknown option --mood; did you mean --mode' "$RAPT" run typo.yaml --set output=runs/typo
[ ! -e runs/typo ]
sed 's/run: augment/run: run/' r.yaml >nested.yaml
fails 2 "nested.yaml:11: stage augment runs 'run'" "$RAPT" run nested.yaml
fails 2 "no stage 'train'; it has: pair, augment, look" "$RAPT" run r.yaml --only train
fails 2 'exclude each other' "$RAPT" run r.yaml --only pair --from pair
fails 2 'expects one RECIPE.yaml' "$RAPT" run
fails 2 'nothere.jsonl, which is not there' "$RAPT" run r.yaml --set input=nothere.jsonl
fails 1 'nothere.yaml' "$RAPT" run nothere.yaml
printf 'output: o\nstages: [\n' >cut.yaml
fails 1 'cut.yaml:' "$RAPT" run cut.yaml
# A stage behind training ends by a signal as it would without training before it: that stops at a checkpoint, and catches signals meanwhile.
cat >signal.yaml <<Y
output: runs/signal
stages:
  - name: augment
    run: augment
    with: {input: in.jsonl, output: runs/signal/train.jsonl}
  - name: train
    run: train
    with: {model: $tests/golden/score_chat, train-data: runs/signal/train.jsonl, max-steps: 1, output-dir: runs/signal/policy}
  - name: wait
    run: score
    with: {input: in.jsonl, output: runs/signal/scored.jsonl, source: rule, rule: command, command: "touch $dir/waiting; sleep 20", overwrite: true}
Y
"$RAPT" run signal.yaml 2>err &
pid=$!
for _ in $(seq 300); do [ ! -e waiting ] || break; sleep 0.1; done
[ -e waiting ] || { cat err; exit 1; }
kill -TERM $pid
code=0
{ wait $pid || code=$?; } 2>/dev/null
pid=
[ $code = 143 ] || { echo "exit code $code after SIGTERM"; cat err; exit 1; }
