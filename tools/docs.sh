#!/usr/bin/env bash
# docs.sh RAPT [FOLDER]: writes docs/commands and docs/support.md (or FOLDER/commands and FOLDER/support.md) from the tables of the program RAPT.
# tests/cli/docs.sh fails when they differ.
set -euo pipefail
rapt=$(realpath "${1:?usage: tools/docs.sh path/to/rapt [folder]}")
root=$(cd "$(dirname "$0")/.." && pwd)
docs=${2:-$root/docs}
folder=$docs/commands
mkdir -p "$folder"
rm -f "$folder"/*.md
"$rapt" help --markdown >"$folder/README.md"
for name in $(sed -n 's/.*](\([a-z0-9-]*\)\.md).*/\1/p' "$folder/README.md"); do
  "$rapt" help "$name" --markdown >"$folder/$name.md"
done
"$rapt" help --support "$root/tests/golden" >"$docs/support.md"
