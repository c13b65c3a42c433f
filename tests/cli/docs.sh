#!/usr/bin/env bash
# rapt help, and whether docs/commands and the documents' links are up to date.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
root=$(dirname "$tests")
bash "$root/tools/docs.sh" "$RAPT" "$dir/commands"
diff -r "$root/docs/commands" "$dir/commands" || { echo "docs/commands is stale: run tools/docs.sh build/check/rapt"; exit 1; }
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
