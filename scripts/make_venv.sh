#!/bin/sh
# Creates a virtual environment: `scripts/make_venv.sh FOLDER [PYTHON]`. Keeps one that already works.
#
# Without PYTHON it takes the first candidate below that runs, is a version that this project supports, and can create
# virtual environments. `python3` goes first: somebody chose it for this machine, and CI uses it. A
# version manager's shim is on the PATH even while its version is not selected, so each candidate is run.
set -eu
folder=$1
shift
[ $# -gt 0 ] || set -- python3 python3.13 python3.12 python3.11

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
version='import sys; print("%d.%d.%d" % sys.version_info[:3])'

runs() { "$1" -c "$2" >/dev/null 2>&1; }

if runs "$folder/bin/python" "$supported" && runs "$folder/bin/python" 'import pip'; then
    exit 0
fi

unsupported=
incomplete=
for candidate in "$@"; do
    found=$("$candidate" -c "$version" 2>/dev/null) || continue
    if ! runs "$candidate" "$supported"; then
        unsupported="$unsupported; $candidate is $found"
    elif runs "$candidate" 'import ensurepip, venv'; then
        exec "$candidate" -m venv --clear "$folder"
    elif [ -z "$incomplete" ]; then
        incomplete=$candidate
        package=python${found%.*}-venv
    fi
done

if [ -n "$incomplete" ]; then
    echo "$incomplete cannot make a virtual environment: its venv module is missing. On Debian and Ubuntu it is a" \
        "package of its own: apt-get install $package" >&2
else
    echo "Python 3.11, 3.12 or 3.13 is needed, and none was found (looked for $*$unsupported). Install one, for example" \
        "with \`apt-get install python3.11 python3.11-venv\`, \`brew install python@3.13\` or \`pyenv install 3.13\`." \
        "If it is not on the PATH, say where it is: make PYTHON=/path/to/python3.13" >&2
fi
exit 1
