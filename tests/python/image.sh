#!/usr/bin/env bash
# Makes the image of the Python services for tests/nameko.rs and tests/clients.rs and prints its name, unless it exists:
# Debian's Python, Nameko, aio-pika and pika from PyPI, and the programs next to this file. No image registry is
# used. All output but the name goes to standard error.
#
#   MIRROR   Debian mirror, default http://deb.debian.org/debian
#
# The image is named after the content of the files that it is made from.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mirror=${MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# Debian's suite and its Python go together.
suite=bookworm
python=3.11

fail() {
    echo "image.sh: $1" >&2
    exit 1
}

for tool in docker mmdebstrap python3 sha256sum; do
    command -v "$tool" >/dev/null || fail "\`$tool\` is missing"
done
[[ -r $keyring ]] || fail "Debian's keys are missing: run \`apt-get install debian-archive-keyring\`"
python3 -m pip --version >/dev/null || fail "pip is missing: run \`apt-get install python3-pip\`"
docker version >/dev/null || fail "no Docker engine answers"

content=$(cd "$here" && cat image.sh requirements.txt ./*.py | sha256sum)
image=fedctl-test-python:${content:0:16}
if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image"
    exit
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# Wheels for the image's Python, whichever Python runs pip here.
python3 -m pip install --quiet --root-user-action=ignore --no-deps --requirement "$here/requirements.txt" \
    --target "$root/srv" --python-version "$python" --only-binary :all: >&2
cp "$here"/*.py "$root/srv/"
# mktemp keeps others out, and the services do not run as root.
chmod -R go=u-w "$root"

# Unpacked is enough for Python to run: no package is set up, so the image has no shell and is made in seconds.
mmdebstrap \
    --variant=extract \
    --include="python$python-minimal,libpython$python-stdlib,libstdc++6,base-files" \
    --keyring="$keyring" \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --extract-hook="copy-in '$root/srv' /" \
    --format=tar \
    "$suite" - "deb $mirror $suite main" |
    docker import \
        --change "ENTRYPOINT [\"/usr/bin/python$python\", \"/srv/main.py\"]" \
        --change 'LABEL io.fedctl.test=1' \
        - "$image" >&2
echo "$image"
