#!/bin/sh
# Checks that the Azure CLI can deploy events.bicep, before azd creates anything: azd has its own Bicep, but
# subscribe.sh uses the Azure CLI's. A worker's app subscribes to nothing and needs neither.
set -eu
needed_major=0
needed_minor=33
if [ "${MLPROMOTE_ROLES:-all}" = "worker" ]; then
    exit 0
fi
if ! command -v az >/dev/null; then
    echo "The app would get no events: install the Azure CLI (https://aka.ms/azcli) and sign in with az login, then" \
        "run azd again." >&2
    exit 1
fi
# `Bicep CLI version 0.33.93 (7a77c7f1a5)`; fails if the Azure CLI has not installed it yet.
said="$(az bicep version --only-show-errors 2>&1)" || said="none is installed"
version="$(echo "$said" | sed -n 's/.*version \([0-9][0-9]*\.[0-9][0-9]*\)\..*/\1/p')"
major="${version%.*}"
minor="${version#*.}"
if [ -z "$version" ] || [ "$major" -lt "$needed_major" ] ||
    { [ "$major" -eq "$needed_major" ] && [ "$minor" -lt "$needed_minor" ]; }; then
    echo "The Azure CLI needs Bicep $needed_major.$needed_minor or later to subscribe the app to events, and says:" \
        "$said. Run: az bicep upgrade (or az bicep install, if there is none), then run azd again." >&2
    exit 1
fi
