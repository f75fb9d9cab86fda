#!/usr/bin/env bash
# Installs what the tests need and is not there: Debian packages, the JavaScript clients, tox.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv-test}"

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v curl >/dev/null || missing+=(curl)
command -v chromium >/dev/null || missing+=(chromium)
command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || missing+=(haproxy)
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing+=(nginx)
command -v rabbitmq-server >/dev/null || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=(rabbitmq-server)
command -v redis-server >/dev/null || missing+=(redis-server)
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

if [ "${#missing[@]}" -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo -n)
    fi
    if command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
        echo "installing Debian packages: ${missing[*]}"
        "${as_root[@]}" apt-get update -qq
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "The tests need programs that are not installed. On Debian, as root:"
        echo "    apt-get install ${missing[*]}"
        echo "Elsewhere install Node.js 20 with npm, Chromium (as 'chromium') and Python's venv, then try again."
        exit 1
    fi
fi

lock=tests/clients/package-lock.json
installed=tests/clients/node_modules/.installed
if ! cmp -s "$lock" "$installed"; then
    echo "installing the JavaScript clients"
    (cd tests/clients && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
    cp "$lock" "$installed"
fi

if [ ! -x "$VENV/bin/tox" ]; then
    "$PYTHON" -m venv "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check 'tox>=4.21'
fi
