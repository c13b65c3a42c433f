#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET...]: builds the fuzz targets with clang (libFuzzer, ASan, UBSan) and runs each for SECONDS (60).
# Corpora grow in build/fuzz/corpus/TARGET, seeded from tests/fuzz/corpus/TARGET; a crash leaves build/fuzz/TARGET-crash-*.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-60}
shift || true
out=$root/build/fuzz
mkdir -p "$out"
clang=${CLANG:-$(command -v clang || ls /usr/bin/clang-[0-9]* 2>/dev/null | tail -1)}
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for f in "$root"/tests/fuzz/fuzz_*.c; do t=$(basename "$f" .c); targets+=("${t#fuzz_}"); done
fi
flags=(-std=c11 -g -O1 -march=x86-64-v3 -ffp-contract=off -fsanitize=address,undefined -fno-sanitize-recover=all -I"$root/src" -I"$root/include")
read -ra packages <<<"$(pkg-config --cflags --libs libxxhash libutf8proc libpcre2-8 yaml-0.1 zlib libzstd)"
# What the targets reach, no more: what that calls beside (products, decoders, oneDNN, the OpenMP runtime) stays unresolved and is never called.
sources=("$root"/src/base/*.c "$root"/src/format/*.c "$root"/src/model/{arch,config,hf_io,lora,params,peft,reward}*.c "$root"/src/num/{act,dtype*}.c "$root"/src/text/*.c)
sources+=("$root"/src/data/{record,source,pair,augment}*.c "$root"/src/infer/{sampler,token_json}.c "$root"/src/net/cache.c "$root"/src/pipeline/recipe.c)
sources+=("$root"/src/eval/{alpaca,arena_hard,gsm8k,harness,lc_fit,mc_extra,mc_task,mt_answer,mt_bench,twister}.c "$root"/src/reward/judge_answer.c)
sources+=("$root"/src/serve/{api_answer,api_prompt,api_request,api_score,engine,metrics}.c)
for t in "${targets[@]}"; do
  echo "== $t"
  "$clang" "${flags[@]}" -fsanitize=fuzzer "$root/tests/fuzz/fuzz_$t.c" "${sources[@]}" -o "$out/fuzz_$t" -lxxhash -lm "${packages[@]}" -Wl,--unresolved-symbols=ignore-all -Wl,-z,lazy -no-pie
  mkdir -p "$out/corpus/$t"
  seeds=()
  [ -d "$root/tests/fuzz/corpus/$t" ] && seeds=("$root/tests/fuzz/corpus/$t")
  "$out/fuzz_$t" -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$out/$t-crash-" \
    -print_final_stats=1 "$out/corpus/$t" "${seeds[@]}" 2>"$out/$t.log" || { tail -40 "$out/$t.log"; exit 1; }
  grep -E 'number_of_executed_units|new_units_added' "$out/$t.log"
done
