#!/bin/sh
# `npm run setup:system`: what Writ needs from the system: git, node and npm, and bubblewrap (Linux), the sandbox around commands. Everything
# else, Node 24 included, comes with `npm ci`. Without root or a passwordless sudo nothing is asked for: it says what is missing.
set -eu
missing=""
packages=""
for program in git node npm; do
  command -v "$program" >/dev/null 2>&1 && continue
  missing="$missing $program"
  packages="$packages $(echo "$program" | sed 's/^node$/nodejs/')"
done
if [ "$(uname -s)" = Linux ] && ! command -v bwrap >/dev/null 2>&1; then
  missing="$missing bwrap"
  packages="$packages bubblewrap"
fi
if [ -z "$missing" ]; then
  echo "git $(git --version | cut -d' ' -f3), node $(node --version), npm $(npm --version): nothing to install"
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "missing:$missing, and there is no apt-get. Install them with your system's package manager (Node 20 or later)." >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif [ -t 0 ]; then
  as_root="sudo"
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  echo "missing:$missing, and installing them needs root or a passwordless sudo" >&2
  exit 1
fi
echo "installing:$packages"
$as_root apt-get update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $packages
