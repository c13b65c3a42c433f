#!/usr/bin/env bash
# Lays all C files out as .clang-format says.
#   tools/format.sh            does it
#   tools/format.sh --check    changes nothing; names the lines that differ and exits with 1
#   tools/format.sh --install  fetches the version that it takes from PyPI into build/clang-format
# Versions differ in what they make of one .clang-format, so this one alone counts. With another one, or none, exit 77 (a test that is skipped).
set -eu
cd "$(dirname "$0")/.."
version=23.1.5
here=build/clang-format
if [ "${1:-}" = --install ]; then
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --retries 1 --timeout 20 --upgrade --target "$here" "clang-format==$version"
  exit 0
fi
program=
for p in "${CLANG_FORMAT:-}" "$here/clang_format/data/bin/clang-format" clang-format "clang-format-${version%%.*}"; do
  if [ -n "$p" ] && "$p" --version 2>/dev/null | grep -qF "version $version"; then program=$p && break; fi
done
if [ -z "$program" ]; then
  echo "clang-format $version is not here: run tools/format.sh --install (it takes pip), or set CLANG_FORMAT" >&2
  exit 77
fi
files() { find src include tests bench tools examples -name '*.[ch]' -print0; }
case "${1:-}" in
  --check) files | xargs -0 "$program" --dry-run --Werror ;;
  "") files | xargs -0 "$program" -i ;;
  *) sed -n '2,6s/^# \?//p' "$0" >&2; exit 2 ;;
esac
