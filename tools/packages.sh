#!/usr/bin/env bash
# Installs the named Debian packages that are missing. The word "build" stands for everything that building rapt needs.
# Asks for sudo only when not root and something is missing; says what to do on other systems.
set -eu
build=(gcc cmake ninja-build pkg-config libc6-dev libdnnl-dev libpcre2-dev libutf8proc-dev libxxhash-dev zlib1g-dev libzstd-dev libyaml-dev libcurl4-openssl-dev libmd-dev libjs-chart.js libmicrohttpd-dev)
wanted=()
for word in "$@"; do
  if [ "$word" = build ]; then wanted+=("${build[@]}"); else wanted+=("$word"); fi
done

# Is what a package brings here by another way (a system without dpkg)?
has() {
  case "$1" in
    gcc | cmake | python3 | curl) command -v "$1" ;;
    ninja-build) command -v ninja ;;
    pkg-config) command -v pkg-config ;;
    libc6-dev) [ -e /usr/include/stdio.h ] ;;
    libdnnl-dev) [ -e /usr/include/oneapi/dnnl/dnnl.h ] ;;
    libpcre2-dev) pkg-config --exists libpcre2-8 ;;
    libutf8proc-dev) pkg-config --exists libutf8proc ;;
    libxxhash-dev) pkg-config --exists libxxhash ;;
    zlib1g-dev) pkg-config --exists zlib ;;
    libzstd-dev) pkg-config --exists libzstd ;;
    libyaml-dev) pkg-config --exists yaml-0.1 ;;
    libcurl4-openssl-dev) pkg-config --exists libcurl ;;
    libmd-dev) pkg-config --exists libmd ;;
    libmicrohttpd-dev) pkg-config --exists libmicrohttpd ;;
    libjs-chart.js) [ -e /usr/share/javascript/chart.js/chart.min.js ] ;;
    libopenmpi-dev) command -v mpicc ;;
    openmpi-bin) command -v mpirun ;;
    libcmocka-dev) pkg-config --exists cmocka ;;
    python3-pip) python3 -m pip --version ;;
    *) false ;;
  esac >/dev/null 2>&1
}
missing=()
for p in "${wanted[@]}"; do
  if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
  else
    has "$p" || missing+=("$p")
  fi
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "This script installs packages with apt (Debian 12, Ubuntu). Please install what these Debian packages hold, then run it again:" >&2
  echo "  ${missing[*]}" >&2
  exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Packages are missing, and there is neither root nor sudo here. As root, run:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo)
  echo "installing packages, which needs sudo" >&2
fi
echo "installing: ${missing[*]}" >&2
"${sudo[@]}" apt-get update -qq >&2
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
