#!/usr/bin/env bash
# The library as other programs meet it: installed into a temporary prefix, the C example built through pkg-config, the Python example through
# ctypes; their numbers are those of the commands. Also what the installed files are.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build=$(dirname "$RAPT")
[ -e "$build/librapt.so" ] || { echo "skipped: no librapt.so beside the program"; exit 77; }
nm "$build/librapt.so" | seen __asan && { echo "skipped: a sanitized library loads into sanitized programs only"; exit 77; }
for tool in cmake pkg-config cc; do
  command -v "$tool" >/dev/null || { echo "skipped: needs $tool"; exit 77; }
done
golden=$tests/golden root=$(cd "$tests/.." && pwd)
model=$golden/score_chat adapter=$golden/score_chat_lora
style=(--goal-template "Aim at {s} of {a}-{b}." --score-range 1,5) # the adapter's goal.json
grep -q '"text": "Aim at {s} of {a}-{b}."' "$adapter/goal.json"
cd "$dir"
cmake --install "$build" --prefix "$dir/prefix" >install.log || { cat install.log; exit 1; }
pc=$(dirname "$(find prefix -name rapt.pc)")
export PKG_CONFIG_PATH=$dir/$pc LD_LIBRARY_PATH=$dir/${pc%/pkgconfig}
"prefix/bin/rapt" --version | seen -x "rapt $(pkg-config --modversion rapt)"

# nothing but rapt.h is shown, and all of it
nm -D --defined-only "$LD_LIBRARY_PATH/librapt.so" | sed 's/.* //' | sort >shown
sed -nE 's/^RAPT_API .*\b(rapt_[a-z_]+)\(.*/\1/p' prefix/include/rapt.h | sort >declared
cmp shown declared || { diff shown declared; exit 1; }
[ "$(wc -l <declared)" -gt 20 ]
readelf -d "$LD_LIBRARY_PATH/librapt.so" | seen "SONAME.*librapt.so.$(sed -nE 's/^#define RAPT_ABI_VERSION //p' prefix/include/rapt.h)\]"
# the header is C and C++ without a warning
echo '#include <rapt.h>' >alone.c
cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only $(pkg-config --cflags rapt) alone.c
if command -v c++ >/dev/null; then c++ -x c++ -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags rapt) alone.c; fi

# the C example: log-probs under goals as rapt logps has them, the answer as rapt generate has it
cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$root/examples/library/goals.c" -o goals $(pkg-config --cflags --libs rapt)
prompt="Why is the sky blue?" good="Air scatters blue most." bad="It is."
./goals "$model" "$adapter" "$prompt" "$good" "$bad" >goals.out 2>goals.err || { cat goals.err; exit 1; }
[ ! -s goals.err ]
"$RAPT" generate --model "$model" --adapter "$adapter" --goal 10 --temperature 0 --max-new-tokens 64 --max-length 2048 --prompt "$prompt" --dtype auto >greedy 2>/dev/null
sed -n '6,$p' goals.out | sed '$d' >answer
cmp answer greedy || { cat goals.out; exit 1; }
for goal in "" 2 5 10; do
  if [ -z "$goal" ]; then
    printf '{"prompt": [{"role": "user", "content": "%s"}], "chosen": [{"role": "assistant", "content": "%s"}], "rejected": [{"role": "assistant", "content": "%s"}]}\n' "$prompt" "$good" "$bad"
  else # the goal's text is the command's own: rapt augment writes the rows
    printf '{"prompt": "%s", "chosen": "%s", "rejected": "%s", "score_chosen": 10, "score_rejected": 1}\n' "$prompt" "$good" "$bad" >pair.jsonl
    "$RAPT" augment --input pair.jsonl --output - --split 0.999 --test-output test.jsonl --test-goals "$goal" "${style[@]}" 2>/dev/null >/dev/null
    cat test.jsonl
  fi
done >rows.jsonl
"$RAPT" logps --model "$model" --adapter "$adapter" --input rows.jsonl --output - 2>/dev/null >logps.jsonl

# the header's own example: with a model that answers, and with one that takes no conversation, where nothing was written into the answer. What is not
# initialised is garbage, where the compiler can see to that
{ printf '#include <rapt.h>\n#include <stdio.h>\nint main(void) {\n'; sed -n 's/^ \*     //p; /^ \* Build with/q' prefix/include/rapt.h; echo 'return 0; }'; } >header.c
has header.c 'rapt_responses_release'
name=$(sed -nE 's/.*rapt_model_open\(&m, "([^"]*)".*/\1/p' header.c)
garbage=-ftrivial-auto-var-init=pattern
cc -c $garbage alone.c -o alone.o $(pkg-config --cflags rapt) 2>/dev/null || garbage=
cc -std=c11 -Wall -Wextra -Wpedantic -Werror $garbage header.c -o header $(pkg-config --cflags --libs rapt)
"$RAPT" export --model "$model" --format gguf --dtype f32 --output "$name" 2>/dev/null
./header >header.out
[ "$(wc -c <header.out)" -gt 1 ]
rm "$name"
"$RAPT" export --model "$golden/llama_tiny" --format gguf --dtype f32 --output "$name" 2>/dev/null
./header >header.out
[ ! -s header.out ]

python3 -c 'import ctypes' 2>/dev/null || { echo "skipped: the Python half needs python3"; exit 0; }
LIBRAPT=$LD_LIBRARY_PATH/librapt.so PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/examples/library python3 "$tests/cli/library.py" "$RAPT" "$root" "$dir"
