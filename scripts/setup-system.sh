#!/bin/sh
# `npm run setup:system`: what Writ needs from the system. Everything else, Node 24 included, comes with `npm ci`.
set -eu
missing=""
for program in git node npm; do
  command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
if [ -z "$missing" ]; then
  echo "git $(git --version | cut -d' ' -f3), node $(node --version), npm $(npm --version): nothing to install"
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "missing:$missing. Install them with your system's package manager (Node 20 or later)." >&2
  exit 1
fi
echo "installing:$missing"
[ "$(id -u)" = 0 ] && as_root="" || as_root="sudo"
$as_root apt-get update
$as_root apt-get install --yes --no-install-recommends $(echo "$missing" | sed 's/node\b/nodejs/')
