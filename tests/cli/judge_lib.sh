# What the tests against judge_server share; they source it behind lib.sh, and it is no test itself.
[ -x "${JUDGE_SERVER:-}" ] || { echo "no judge_server: libmicrohttpd-dev is not installed"; exit 77; }
cd "$dir"
unset OPENAI_API_KEY http_proxy HTTP_PROXY all_proxy ALL_PROXY
server=
serve() { # mode, port: a fresh server with a fresh log.txt
  stop
  rm -f port log.txt
  "$JUDGE_SERVER" port log.txt "$@" &
  server=$!
  for ((i = 0; i < 200; i++)); do [ -s port ] && break; sleep 0.05; done
  url=http://127.0.0.1:$(cat port)/v1
}
stop() { [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=; }; }
trap 'stop; rm -rf "$dir"' EXIT
is() { [ "$1" = "$2" ] || { echo "found '$1', expected '$2'"; exit 1; }; }
count() { grep -c -- "$1" "$2" || true; } # lines
