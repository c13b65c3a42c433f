#!/usr/bin/env bash
# rapt generate and rapt chat: the same samples whatever the batch, order of the output, goals, what is refused; on real weights (RAPT_MODEL)
# the answers of transformers' greedy decoding, also in a conversation.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" generate --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt generate"; exit 77; }
golden=$tests/golden
model=${RAPT_MODEL:-$(dirname "$0")/../../models/SmolLM2-135M-Instruct.Q4_1.gguf}
[ -f "$model" ] && model=$(realpath "$model")
cd "$dir"
export OMP_NUM_THREADS=1 # where --threads does not say otherwise: the work is small
tiny=$golden/llama_tiny
says() { # pattern, file
  grep -q -- "$1" "$2" || { echo "no '$1' in:"; cat "$2"; exit 1; }
}
same() { # file, file
  cmp -s "$1" "$2" || { echo "$1 and $2 differ:"; diff "$1" "$2" | head; exit 1; }
}

# rows of several forms; their order is the output's, whatever ends first
cat >rows.jsonl <<'R'
{"prompt": "the cat sat", "chosen": "a", "rejected": "b"}
{"instruction": "go to the dog; the cat had a hat"}

{"prompt": "the cat sat on"}
{"prompt": "me", "responses": [{"text": "a", "score": 3}]}
R
sample() { "$RAPT" generate --model "$tiny" --threads 2 --raw --dtype reference --n 3 --max-new-tokens 24 "$@" 2>err || { cat err; exit 1; }; }
sample --input rows.jsonl --batch-size 1 >one.jsonl
sample --input rows.jsonl --batch-size 16 --threads 1 >many.jsonl
sample --input rows.jsonl --batch-size 5 --output five.jsonl
same one.jsonl many.jsonl
same one.jsonl five.jsonl
[ "$(wc -l <one.jsonl)" = 12 ]
sed -E 's/.*"sample": ([0-9]+),.*"row": ([0-9]+),.*/\2 \1/' one.jsonl >order
printf '%s\n' '0 0' '0 1' '0 2' '1 0' '1 1' '1 2' '2 0' '2 1' '2 2' '3 0' '3 1' '3 2' >wanted
same order wanted
says '^{"prompt": "go to the dog; the cat had a hat", "goal": null, "sample": 0, "text": "' one.jsonl
says '"finish": "stop"' one.jsonl
says '"finish": "length"' one.jsonl
sample --input rows.jsonl --seed 7 >other.jsonl
cmp -s one.jsonl other.jsonl && { echo "another seed, the same samples"; exit 1; }
# a row is the same sample alone or among others: row 0 of a file of its own
head -1 rows.jsonl >first.jsonl
sample --input first.jsonl >alone.jsonl
head -3 one.jsonl >head.jsonl
same alone.jsonl head.jsonl

# several temperatures: the rows of each are those that a run at it alone has under their numbers, whatever the batch and the threads
sample --input rows.jsonl --temperature 0.5,1,2.5 --n 2 --batch-size 1 --threads 1 >heats.jsonl
sample --input rows.jsonl --temperature 0.5 --temperature 1 --temperature 2.5 --n 2 --batch-size 7 >heats7.jsonl
same heats.jsonl heats7.jsonl
[ "$(wc -l <heats.jsonl)" = 24 ]
says '"goal": null, "temperature": 2.5, "sample": 5, ' heats.jsonl
at=0
for heat in 0.5 1 2.5; do
  sample --input rows.jsonl --temperature $heat --n 6 >heat.jsonl
  grep -E "\"sample\": ($at|$((at + 1)))," heat.jsonl >wanted
  grep "\"temperature\": $heat, " heats.jsonl | sed 's/"temperature": [^,]*, //' >found
  [ "$(wc -l <found)" = 8 ]
  same wanted found
  at=$((at + 2))
done
if grep -q '"temperature"' one.jsonl; then echo "one temperature, and rows that say it"; exit 1; fi
"$RAPT" generate --model "$tiny" --prompt "the cat" --temperature 0,1.5 --top-k 3 --max-new-tokens 4 >headed 2>err
says '^== temperature 0 ==$' headed
says '^== temperature 1.5 ==$' headed
# such rows go on as any other: a prompt's responses are scored and paired together
"$RAPT" score --source rule --rule length --length 60 --input heats.jsonl --output scored.jsonl 2>err || { cat err; exit 1; }
[ "$(wc -l <scored.jsonl)" = 4 ]
[ "$(grep -o '"temperature": 2.5' scored.jsonl | wc -l)" = 8 ]
"$RAPT" pair --input scored.jsonl --output pairs.jsonl --rule best-worst 2>err || { cat err; exit 1; }
[ "$(wc -l <pairs.jsonl)" = 4 ]
"$RAPT" eval goal-curve --samples scored.jsonl --json >curve.json 2>err || { cat err; exit 1; }
says '"samples": 24' curve.json
fails 1 'heats.jsonl:1: field temperature: expected 1, found 0.5' "$RAPT" eval kl --model "$tiny" --adapter a="$tiny" --samples a=heats.jsonl --raw

# plain text, greedy; filters that leave one token are greedy too
"$RAPT" generate --model "$tiny" --prompt "the cat" --temperature 0 --max-new-tokens 8 >greedy 2>err
"$RAPT" generate --model "$tiny" --prompt "the cat" --top-k 1 --max-new-tokens 8 >top1 2>err
printf 'the cat' | "$RAPT" generate --model "$tiny" --prompt - --min-p 1 --max-new-tokens 8 >min1 2>err
same greedy top1
same greedy min1
[ "$(wc -l <greedy)" = 1 ]

# goals: the adapter's style, how often they were trained, the best one
cp -r "$golden/llama_tiny_lora" adapter
chmod -R u+w adapter
cat >adapter/goal.json <<'G'
{"text": "aim at {s}", "placement": "user", "low": 1, "high": 10, "quantum": 0.5, "histogram": {"8": 30, "3": 10, "9.5": 10}, "best": 8}
G
goals() { "$RAPT" generate --model "$tiny" --adapter adapter --prompt "the cat" --max-new-tokens 4 "$@" 2>err || { cat err; exit 1; }; }
goals --goal 8.1,10,best --json >goals.jsonl
says 'goal 8 was trained 30 times among 50 goals (60%)' err
says 'warning: goal 10 was never trained; the nearest trained goal is 9.5' err
says '"prompt": "the cat", "goal": 10, "sample": 0' goals.jsonl
sed -n 1p goals.jsonl >eight
sed -n 3p goals.jsonl >best
same eight best
goals --goal 3,8 >headed
says '^== goal 3 ==$' headed
goals --goal 11 >/dev/null
says 'lies outside the scale of 1 to 10' err
goals --goal 8 --goal-style adapter/goal.json --json >styled.jsonl
same eight styled.jsonl
cat >style.json <<'G'
{"text": "go {s}", "placement": "after", "low": 1, "high": 5}
G
"$RAPT" generate --model "$tiny" --goal 4 --goal-style style.json --prompt "the cat" --max-new-tokens 4 >/dev/null 2>err
says 'comes without a goal.json' err
says 'asked in the after style' err

# bad rows
printf '%s\n' '{"prompt": ""}' '{"prompt": "the cat"}' '{"nothing": 1}' '{"prompt": "a", "goal": 3}' >bad.jsonl
fails 1 'bad.jsonl:1.*nothing to respond to' "$RAPT" generate --model "$tiny" --input bad.jsonl --output x.jsonl
[ ! -e x.jsonl ]
"$RAPT" generate --model "$tiny" --adapter adapter --goal 8 --input bad.jsonl --on-bad-row skip --output x.jsonl --max-new-tokens 4 2>err
[ "$(wc -l <x.jsonl)" = 1 ] && [ "$(wc -l <x.jsonl.rejected.jsonl)" = 3 ]
fails 1 'asks for a goal already' "$RAPT" generate --model "$tiny" --adapter adapter --goal 8 --input <(tail -1 bad.jsonl)
printf '{"prompt": "%s"}\n' "$(printf 'the cat %.0s' {1..70})" >long.jsonl
fails 1 'leave no room for a response within 128' "$RAPT" generate --model "$tiny" --input long.jsonl
printf '%s\n' '{"prompt": [{"role": "user", "content": "a"}]}' >talk.jsonl
fails 1 'no chat template' "$RAPT" generate --model "$tiny" --input talk.jsonl

# usage
fails 2 'model is needed' "$RAPT" generate --prompt a
fails 2 'one of --prompt and --input' "$RAPT" generate --model "$tiny"
fails 2 'one of --prompt and --input' "$RAPT" generate --model "$tiny" --prompt a --input rows.jsonl
fails 2 'would write the same response' "$RAPT" generate --model "$tiny" --prompt a --n 2 --temperature 0
fails 2 'would write the same response' "$RAPT" generate --model "$tiny" --prompt a --n 2 --temperature 1,0
fails 2 "temperature expects a number, or several such as 0.7,1,1.2, not 'x'" "$RAPT" generate --model "$tiny" --prompt a --temperature 1,x
fails 2 'temperature: 1.0 is there twice' "$RAPT" generate --model "$tiny" --prompt a --temperature 1,2,1.0
fails 2 'temperature expects 0 (greedy) or 0.001 to 100, not 101' "$RAPT" generate --model "$tiny" --prompt a --temperature 1,101
fails 2 'temperature expects a number, or several' "$RAPT" generate --model "$tiny" --prompt a --temperature ,
fails 2 'top-p has no effect' "$RAPT" generate --model "$tiny" --prompt a --top-p 0.5 --temperature 0
fails 2 'top-p expects' "$RAPT" generate --model "$tiny" --prompt a --top-p 1.5
fails 2 'goal-style has no effect' "$RAPT" generate --model "$tiny" --prompt a --goal-style style.json
fails 2 'no best goal is known' "$RAPT" generate --model "$tiny" --prompt a --goal best
fails 2 "a goal is a number or best, not 'high'" "$RAPT" generate --model "$tiny" --prompt a --goal high
fails 2 'has no quantised weights that it could take' "$RAPT" generate --model "$tiny" --prompt a --dtype int8
fails 2 'int8' "$RAPT" logps --model "$tiny" --input rows.jsonl --output o.jsonl --dtype int8
fails 1 'nowhere' "$RAPT" generate --model nowhere --prompt a
fails 1 'chat needs a chat template' "$RAPT" chat --model "$tiny" </dev/null

[ -f "$model" ] || { echo "no model at RAPT_MODEL: the rest is skipped"; exit 0; }
printf 'My name is Bob.\nWhat is my name?\n' | "$RAPT" chat --model "$model" --threads 1 --temperature 0 --max-new-tokens 60 --dtype f32 >chat 2>err
cat >wanted <<'W' # transformers 5.23, generate(do_sample=False) on the same file
I'm glad to have you here. I'm happy to help you with whatever you're going through. What brings you to my little corner of the internet?
I'm glad to know you're here. My name is Emily, and I'm a creative writing assistant. I'm here to help you with whatever you're going through. What brings you here?
W
same chat wanted
# quantised weights as they are: the same bits, so the same samples, whatever the batch and the threads
whole() { "$RAPT" generate --model "$model" --dtype int8 --prompt "Write a story." --n 4 --max-new-tokens 8 --json "$@" 2>err || { cat err; exit 1; }; }
whole --batch-size 1 --threads 1 >one.jsonl
whole --batch-size 4 --threads 2 >many.jsonl
same one.jsonl many.jsonl
printf '%s\n' '/goal 10' '/goal high' '/what' '/system Be short.' '/reset' 'Say hi.' '/quit' 'never read' |
  "$RAPT" chat --model "$model" --threads 1 --max-new-tokens 3 >chat 2>err
[ "$(wc -l <chat)" = 1 ]
says "a goal is a number or best, not 'high'" err
says "unknown command '/what'" err
says 'cut at 3 tokens' err
printf '%s\n' 'Tell me a story.' 'And then?' 'And then?' | "$RAPT" chat --model "$model" --threads 1 --max-length 96 --temperature 0 >chat 2>err
says 'longer than 96 tokens: its oldest' err
"$RAPT" generate --model "$model" --threads 1 --prompt "What is the capital of France?" --goal 2,10 --system "Answer in one word." --n 2 --max-new-tokens 5 --json >g.jsonl 2>err
[ "$(wc -l <g.jsonl)" = 4 ]
says '^{"prompt": \[{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "What is the capital of France?"}\], "goal": 2, ' g.jsonl
