# What the scripts of this folder share; they source it first, and it is no test itself.
# Gives $tests, the folder tests/; $dir, a temporary folder that goes away at the end; fails and has.
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Refused: the command ends with this exit code, says this on stderr and prints nothing on stdout. Both are kept in $dir/out and $dir/err.
fails() { # exit code, pattern on stderr, command...
  local want=$1 pattern=$2 code=0
  shift 2
  "$@" >"$dir/out" 2>"$dir/err" || code=$?
  [ "$code" = "$want" ] || { echo "exit $code, want $want: $*"; cat "$dir/err"; exit 1; }
  grep -q -- "$pattern" "$dir/err" || { echo "no '$pattern' in:"; cat "$dir/err"; exit 1; }
  [ ! -s "$dir/out" ] || { echo "stdout is not empty: $*"; exit 1; }
}
# grep -q that reads to the end: a writer that it leaves early dies of SIGPIPE, and pipefail makes a failure of that.
seen() { grep "$@" >/dev/null; }
has() { # file, text
  grep -qF -- "$2" "$1" || { echo "expected '$2' in:"; cat "$1"; exit 1; }
}
