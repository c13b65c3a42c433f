#!/usr/bin/env bash
# rapt help, and whether docs/commands, docs/support.md and the documents' links are up to date.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
root=$(dirname "$tests")
bash "$root/tools/docs.sh" "$RAPT" "$dir"
diff -r "$root/docs/commands" "$dir/commands" || { echo "docs/commands is stale: run tools/docs.sh build/check/rapt"; exit 1; }
diff "$root/docs/support.md" "$dir/support.md" || { echo "docs/support.md is stale: run tools/docs.sh build/check/rapt"; exit 1; }
# What the page says was compared is compared: each golden that it names is read by a test.
goldens=$(sed -n '/^## Compared/,/^## Losses/p' "$dir/support.md" | grep '^|' | tail -n +3 | cut -d'|' -f3- | tr -s ',| ' '\n' | grep -v '^-*$')
[ "$(wc -w <<<"$goldens")" -ge 30 ] || { echo "support.md names too few goldens: $goldens"; exit 1; }
for golden in $goldens; do
  grep -qE "\"(reward_)?${golden#reward_}(/model.gguf)?\"" "$tests"/unit/*.c || { echo "no unit test reads tests/golden/$golden"; exit 1; }
done
fails 1 'cannot be opened' "$RAPT" help --support "$dir/nothing"
"$RAPT" help pair | diff - <("$RAPT" pair --help)
"$RAPT" help | diff - <("$RAPT" --help)
code=0
"$RAPT" help nothing 2>"$dir/err" || code=$?
[ "$code" = 2 ] && grep -q "unknown command 'nothing'" "$dir/err"
code=0
"$RAPT" help pair --nothing 2>"$dir/err" || code=$?
[ "$code" = 2 ] && grep -q "not '--nothing'" "$dir/err"

# Relative links in the documents lead to files.
failed=0
while IFS= read -r file; do
    while IFS= read -r link; do
        case "$link" in http*://* | mailto:*) continue ;; esac
        path=${link%%#*}
        [ -n "$path" ] || continue
        [ -e "$(dirname "$file")/$path" ] || { echo "${file#"$root"/}: link to $path, which is not there"; failed=1; }
    done < <(grep -oE '\]\([^) ]+\)' "$file" | sed -E 's/^\]\(//; s/\)$//')
done < <(find "$root" -maxdepth 1 -name '*.md'; find "$root/docs" "$root/examples" -name '*.md')
exit $failed
