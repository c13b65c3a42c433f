#!/usr/bin/env bash
# pages.sh RAPT FOLDER: the manual pages (FOLDER/man1) and shell completions (FOLDER/completions) from the option tables of the program RAPT.
# The build runs it (cmake/install.cmake), so that they are never behind the program.
set -euo pipefail
rapt=$1 folder=$2
rm -rf "$folder"
mkdir -p "$folder/man1" "$folder/completions"
"$rapt" help --man >"$folder/man1/rapt.1"
for name in $("$rapt" help --markdown | sed -n 's/.*](\([a-z0-9-]*\)\.md).*/\1/p'); do
  "$rapt" help "$name" --man >"$folder/man1/rapt-$name.1"
done
"$rapt" help --completion bash >"$folder/completions/rapt"
"$rapt" help --completion zsh >"$folder/completions/_rapt"
"$rapt" help --completion fish >"$folder/completions/rapt.fish"
