#!/bin/sh
# Runs a command with the wall clock so many days ahead: `scripts/with_clock_ahead.sh DAYS COMMAND...` (Linux, with a C
# compiler). Its child processes have the same clock, unless they are started without this environment.
set -eu
days=$1
shift
# Not below TMPDIR: in LD_PRELOAD a space ends a name.
folder=$(mktemp -d /tmp/clock-ahead.XXXXXX)
trap 'rm -rf "$folder"' EXIT INT TERM
"${CC:-cc}" -shared -fPIC -O2 -o "$folder/clock_ahead.so" "$(dirname "$0")/clock_ahead.c" -ldl
# Within another run, the days add up: the outer library is left out, or each would add all of them.
others=$(printf '%s' "${LD_PRELOAD:-}" | tr ':' '\n' | grep -v '/clock_ahead\.so$' | tr '\n' ':' || true)
LD_PRELOAD="$folder/clock_ahead.so:${others}" CLOCK_AHEAD=$((days * 86400 + ${CLOCK_AHEAD:-0})) "$@"
