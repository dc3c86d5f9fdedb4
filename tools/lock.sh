#!/bin/sh
# Pins every package with its hashes, without naming any address: requirements/{dev,operator,jobs}.txt.
set -eu
cd "$(dirname "$0")/.."
compile() {
  extras=""
  output=$1
  shift
  for extra in "$@"; do extras="$extras --extra $extra"; done
  # shellcheck disable=SC2086
  .venv/bin/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
    --strip-extras --allow-unsafe --no-header --no-annotate $extras -o "requirements/$output.txt" pyproject.toml
}
compile dev dev operator jobs cli
# The images get the same versions as the tests ran with.
compile operator operator cli
compile jobs jobs
# pip-compile's remark would be the only comment in a file that is compared line by line.
for file in requirements/*.txt; do
  sed -i '/^# The following packages are considered/d' "$file"
done
