#!/usr/bin/env bash
# docs.sh RAPT [FOLDER]: writes docs/commands (or FOLDER) from the option tables of the program RAPT. tests/cli/docs.sh fails when they differ.
set -euo pipefail
rapt=${1:?usage: tools/docs.sh path/to/rapt [folder]}
folder=${2:-$(cd "$(dirname "$0")/.." && pwd)/docs/commands}
mkdir -p "$folder"
rm -f "$folder"/*.md
"$rapt" help --markdown >"$folder/README.md"
for name in $(sed -n 's/.*](\([a-z-]*\)\.md).*/\1/p' "$folder/README.md"); do
  "$rapt" help "$name" --markdown >"$folder/$name.md"
done
