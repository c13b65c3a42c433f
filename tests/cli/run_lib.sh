# What the tests that kill rapt run share; they source it behind lib.sh, and it is no test itself. What killed runs said gathers in $dir/log.
pid=
trap '[ -z "$pid" ] || kill -9 $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
mkfifo "$dir/lines.fifo"
killed_at() { # the stage's head, args of rapt run...: true if the kill came while there was something left to do
  "$RAPT" run "${@:2}" >/dev/null 2>"$dir/lines.fifo" &
  pid=$!
  local line seen=
  : >"$dir/err"
  exec 3<"$dir/lines.fifo"
  while IFS= read -r line <&3; do
    printf '%s\n' "$line" >>"$dir/err"
    [[ $line != "rapt: $1"* ]] || { seen=1; break; }
  done
  [ -n "$seen" ] || { echo "no line of stage $1:"; tail -3 "$dir/err"; exit 1; }
  [ "${try:-1}" -gt 20 ] || sleep 0.0$((RANDOM % 5)) # a stage that is always over by then is met at its first line
  kill -9 $pid 2>/dev/null || true
  local code=0
  { wait $pid || code=$?; } 2>/dev/null
  pid=
  cat <&3 >>"$dir/err"
  exec 3<&-
  [ $code = 137 ]
}
# Kills in stage I of N. A stage may be over before the kill comes: then the run's folder is put back and the stage tried again.
killed_in() { # I N, the run's folder, args of rapt run...
  local before=$dir/before try
  rm -rf "$before"
  [ ! -d "$3" ] || cp -a "$3" "$before"
  for try in $(seq 50); do
    killed_at "[$1/$2]" "${@:4}" && break
    [ "$try" -lt 50 ] || { echo "stage $1 was over before the kill, 50 times"; exit 1; }
    rm -rf "$3"
    [ ! -d "$before" ] || cp -a "$before" "$3"
  done
  cat "$dir/err" >>"$dir/log"
}
finished() { # N, args of rapt run...: runs to the end, and no stage was done in two of the runs in the log
  "$RAPT" run "${@:2}" >"$dir/out" 2>"$dir/err" || { tail -5 "$dir/err"; exit 1; }
  cat "$dir/err" >>"$dir/log"
  grep -o "\[[0-9]*/$1\] [^ ]*: done in" "$dir/log" | sort | uniq -d >"$dir/twice"
  [ ! -s "$dir/twice" ] || { echo "done twice:"; cat "$dir/twice"; exit 1; }
  "$RAPT" run "${@:2}" >"$dir/out" 2>"$dir/err"
  grep -q "0 stages run, $1 kept" "$dir/err" || { echo "not all kept:"; tail -5 "$dir/err"; exit 1; }
}
