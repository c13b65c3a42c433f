#!/usr/bin/env bash
# bench/generate.sh MODEL.gguf [ROUNDS]: tokens a second of rapt generate and llama.cpp on the same weights, machine and run, interleaved, the
# best of ROUNDS (3):
#   single    one response of 256 tokens, greedy
#   parallel  48 sampled responses of up to 128 tokens to one prompt, 16 at a time
#   prefill   prompts of about 500 tokens that share nothing, one token each
# llama.cpp is the Python package xllamacpp (PYTHON, default python3), and, where LLAMA names a folder with llama-bench and llama-batched-bench,
# those: a build for this CPU, e.g. of xllamacpp's source package (gcc 12 drops stores before _tile_loadconfig in ggml-cpu/amx/mmq.cpp, which ends
# in an illegal instruction: put asm volatile("" :: "r"(&tc) : "memory"); in front of it):
#   pip download --no-deps --no-binary :all: xllamacpp && tar xzf xllamacpp-*.tar.gz && cd xllamacpp-*/thirdparty/llama.cpp
#   cmake -B build -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF
#   cmake --build build --target llama-bench llama-batched-bench
# RAPT (build/release/rapt), THREADS (2).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n 2,6p "$0"; exit 2; }
model=$(realpath "$1") rounds=${2:-3}
rapt=$(realpath "${RAPT:-$here/../build/release/rapt}")
python=${PYTHON:-python3} threads=${THREADS:-2}
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
"$python" "$here/generate_llama.py" prompts "$t/prompts.jsonl"
note() { echo "$1 $2 $3" >>"$t/rates"; }
# "N responses, N tokens in S s: R tokens/s; N prompt tokens computed, N shared": the rate of what is asked for
rapt_rate() { # awk program, arguments of rapt generate
  local program=$1
  shift
  "$rapt" generate --model "$model" --threads "$threads" --raw "$@" --output "$t/out.jsonl" 2>&1 |
    sed -n -E 's/.* ([0-9]+) tokens in ([0-9.]+) s: .*; ([0-9]+) prompt tokens.*/\1 \2 \3/p' | awk "$program"
}
story="Once upon a time there was a"
for _ in $(seq "$rounds"); do
  note rapt single "$(rapt_rate '{print $1 / $2}' --prompt "$story" --temperature 0 --max-new-tokens 256)"
  note rapt parallel "$(rapt_rate '{print $1 / $2}' --prompt "$story" --n 48 --batch-size 16 --max-new-tokens 128)"
  note rapt prefill "$(rapt_rate '{print $3 / $2}' --input "$t/prompts.jsonl" --temperature 0 --max-new-tokens 1 --batch-size 1)"
  for what in single parallel prefill; do
    note xllamacpp $what "$("$python" "$here/generate_llama.py" $what "$model" "$threads" "$t/prompts.jsonl" 2>/dev/null)"
  done
  [ -n "${LLAMA:-}" ] || continue
  "$LLAMA/llama-bench" -m "$model" -t "$threads" -p 512 -n 256 -r 1 -o json 2>/dev/null >"$t/native"
  note native prefill "$("$python" -c "import json,sys; print(next(x['avg_ts'] for x in json.load(open('$t/native')) if x['n_prompt']))")"
  note native single "$("$python" -c "import json,sys; print(next(x['avg_ts'] for x in json.load(open('$t/native')) if x['n_gen']))")"
  # |    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s | ...
  note native parallel "$("$LLAMA/llama-batched-bench" -m "$model" -t "$threads" -c 4096 -npp 8 -ntg 128 -npl 16 2>/dev/null |
    awk -F'|' '$4 + 0 == 16 {print $9 + 0}')"
done
grep -m1 'model name' /proc/cpuinfo
grep -o -w -E 'avx2|avx512f|avx512_vnni|amx_int8|amx_bf16' /proc/cpuinfo | sort -u | tr '\n' ' '
echo "$(nproc) cores, $threads threads, best of $rounds"
awk '{k = $1 " " $2; if ($3 + 0 > best[k]) best[k] = $3 + 0; who[$1]; what[$2]}
     END {
       for (w in what) for (p in who) if (p != "rapt")
         printf "%-9s rapt %7.1f tokens/s, %-9s %7.1f: %.2f\n", w, best["rapt " w], p, best[p " " w], best["rapt " w] / best[p " " w]
     }' "$t/rates" | sort
