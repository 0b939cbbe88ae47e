#!/usr/bin/env bash
# Installs what fedctl's Makefile needs beyond a Rust toolchain and a Docker engine. Without root it prints what is
# missing and the command that installs it. Quick and silent when nothing is missing.
set -euo pipefail

fail() {
    echo "setup: $1" >&2
    exit 1
}

# need PACKAGE COMMAND…: if the command fails, the package is missing
missing=()
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
compose() { command -v docker-compose || docker compose version; }

command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.89 or newer, see https://rustup.rs"
command -v docker >/dev/null || fail "Docker is missing: run \`sudo apt-get install docker.io\`"

need build-essential command -v cc
need mmdebstrap command -v mmdebstrap
need debian-archive-keyring test -r /usr/share/keyrings/debian-archive-keyring.gpg
need docker-compose compose                      # a test runs our Compose file with it
need shellcheck command -v shellcheck              # a test checks the exported script with it
need faketime command -v faketime                # a test has another clock than the engine
need iproute2 command -v ip                      # a test has another network than the engine
need strace command -v strace                    # a test counts the requests that fedctl sends
need python3-pip python3 -m pip --version         # tests build an image of Python services

if ((${#missing[@]})); then
    command -v apt-get >/dev/null || fail "missing: ${missing[*]}: not a Debian-family system; install the equivalents by hand"
    [[ $(id -u) -eq 0 ]] || fail "missing: ${missing[*]}: run \`sudo apt-get install ${missing[*]}\`"
    echo "setup: installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    apt-get install -qq --no-install-recommends "${missing[@]}" >&2
fi

# Debian's package would also start a server of Prometheus: only its checker is taken, which needs nothing else of it.
install_promtool() {
    local directory
    directory=$(mktemp -d)
    (cd "$directory" && apt-get download -qq -o APT::Sandbox::User=root prometheus) >&2
    dpkg-deb --fsys-tarfile "$directory"/prometheus_*.deb | tar -x --to-stdout ./usr/bin/promtool >"$directory/promtool"
    install "$directory/promtool" /usr/local/bin/promtool
    rm -r "$directory"
}

if ! command -v promtool >/dev/null; then # a test checks metrics and alerts with it
    command -v apt-get >/dev/null || fail "promtool is missing: not a Debian-family system; install Prometheus' promtool by hand"
    [[ $(id -u) -eq 0 ]] || fail "promtool is missing: run \`sudo scripts/setup.sh\`"
    echo "setup: installing promtool" >&2
    apt-get update -qq >&2
    install_promtool
fi

if ! answer=$(docker version --format '{{.Server.Version}}' 2>&1); then
    case $answer in
    *"permission denied"*) fail "permission denied on the Docker socket: run \`sudo usermod -aG docker $(id -un)\`, then log in again" ;;
    *) fail "cannot connect to the Docker engine: run \`sudo systemctl start docker\` (${answer##*$'\n'})" ;;
    esac
fi
