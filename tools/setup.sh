#!/bin/sh
# Makes the development environment: .venv with pinned packages, and the servers that tests start (PostgreSQL, Redis, PgBouncer).
# Says what it installs; does nothing where everything is there.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

packages_missing() {
  missing=""
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
  done
  printf '%s' "$missing"
}

if command -v dpkg-query >/dev/null 2>&1; then
  missing=$(packages_missing python3 python3-venv ca-certificates git iproute2 procps util-linux postgresql redis-server pgbouncer)
  if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
      say "these Debian packages are missing:$missing"
      say "install them: sudo apt-get install$missing"
      exit 1
    fi
    say "installing Debian packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # The servers are for tests, which start their own: no server of the machine's is started.
    policy=/usr/sbin/policy-rc.d
    made_policy=""
    if [ ! -e "$policy" ]; then
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod +x "$policy"
      made_policy=yes
    fi
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null || { [ -z "$made_policy" ] || rm -f "$policy"; exit 1; }
    [ -z "$made_policy" ] || rm -f "$policy"
  fi
else
  for program in redis-server pgbouncer; do
    command -v "$program" >/dev/null 2>&1 || say "$program is not installed: the integration tests need it, and PostgreSQL 15 or newer"
  done
fi

python=""
for candidate in python3.11 python3.12 python3.13 python3; do
  if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { say "Python 3.11 or newer with venv is needed: apt-get install python3 python3-venv"; exit 1; }

stamp=.venv/.installed-$(cat requirements/dev.txt pyproject.toml | sha256sum | cut -c1-16)
if [ ! -e "$stamp" ]; then
  say "Python packages into .venv (about a minute)"
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 2>/dev/null || { say "the project itself could not be installed"; exit 1; }
  rm -f .venv/.installed-*
  touch "$stamp"
fi
