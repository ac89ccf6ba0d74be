# Makes .venv from requirements/dev.txt with the first Python >= 3.12 that works. Prints nothing when it is up to date.
set -euo pipefail
unset CDPATH
home=${HOME:-~} # without HOME, that of the user database
cd "$(dirname "$0")/.."
want=$(cat requirements/dev.txt requirements/uv.txt tools/bootstrap.sh | sha256sum | cut -c1-32)
link=.state/collections/ansible_collections/orion/tracing
mkdir -p "${link%/*}" && ln -sfn "$PWD" "$link"
[ "$(cat .venv/.complete 2>/dev/null)" = "$want" ] && exit 0

# From an activated .venv too: its own Python is about to go.
PATH=${PATH//"$PWD/.venv/bin:"/}

usable() { # pyenv's shims answer for versions that are not there, so ask the interpreter itself
  "$1" -E -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null
}
needed="Python 3.12 or newer with the venv module"
if [ -n "${ORION_PYTHON:-}" ]; then
  usable "$ORION_PYTHON" || {
    echo "ORION_PYTHON is $ORION_PYTHON, which is not $needed ($("$ORION_PYTHON" -V 2>&1 || true)): name another one, or unset it." >&2
    exit 1
  }
  python=$ORION_PYTHON
else
  for candidate in python3.14 python3.13 python3.12 python3 \
    "${PYENV_ROOT:-$home/.pyenv}"/versions/3.{14,13,12}*/bin/python /usr/local/bin/python3 /opt/python*/bin/python3; do
    if usable "$candidate"; then python=$candidate; break; fi
  done
fi
if [ -z "${python:-}" ]; then
  echo "No $needed was found (tried PATH and pyenv): install one (on Debian also its -venv package), or set ORION_PYTHON to its path." >&2
  exit 1
fi
start=$SECONDS
clean() { "$python" -E -m tools.surroundings "$@"; } # the user's environment without what disturbs
echo "Python environment: .venv with $("$python" -V 2>&1), packages pinned in requirements/dev.txt …"
rm -rf .venv
clean "$python" -m venv .venv
clean .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
clean .venv/bin/uv pip sync -q --python .venv/bin/python --require-hashes requirements/dev.txt requirements/uv.txt
echo "$want" > .venv/.complete
echo "Python environment: done in $((SECONDS - start)) s"
