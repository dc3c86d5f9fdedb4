#!/bin/sh
# Pins every package with its hashes, without naming any address: requirements/{dev,operator,jobs,build}.txt.
set -eu
cd "$(dirname "$0")/.."
# compile FILE OPTION...: requirements/FILE.txt from pyproject.toml.
compile() {
  output=$1
  shift
  .venv/bin/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
    --strip-extras --allow-unsafe --no-header --no-annotate "$@" -o "requirements/$output.txt" pyproject.toml
}
compile dev --extra dev --extra interop --extra operator --extra jobs --extra cli
# The images get the same versions as the tests ran with.
compile operator --extra operator
compile jobs --extra jobs
# What builds our own package inside them.
compile build --only-build-deps --build-deps-for wheel
# pip-compile's remark would be the only comment in a file that is compared line by line.
for file in requirements/*.txt; do
  sed -i '/^# The following packages are considered/d' "$file"
done
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
.venv/bin/python -m tools.packages --notice
