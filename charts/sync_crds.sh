#!/bin/sh
# Copies the generated CRDs into the chart (its folder crds/ is what `helm install` creates first). With --check: only compares.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
from="$here/../crds"
to="$here/rowlock/crds"

if [ "${1:-}" = --check ]; then
  diff -r "$from" "$to" || { echo "the chart's CRDs differ from crds/: run charts/sync_crds.sh" >&2; exit 1; }
  exit 0
fi
mkdir -p "$to"
rm -f "$to"/*.yaml
cp "$from"/*.yaml "$to"/
