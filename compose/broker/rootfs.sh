#!/usr/bin/env bash
# Writes the root file system of a RabbitMQ broker, a tar, to standard output; messages go to standard error.
#
#   SUITE    Debian suite, and with it the broker: bookworm (3.10), trixie (4.0, the default), forky (4.3)
#   MIRROR   Debian mirror, http://deb.debian.org/debian by default
#
# fedctl runs this when no registry has the image. By hand:
#
#   changes=(); while read -r line; do changes+=(-c "$line"); done <import.changes
#   ./rootfs.sh | docker import "${changes[@]}" - rabbitmq:4-management
set -euo pipefail

suite=${SUITE:-trixie}
mirror=${MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    echo "rootfs.sh: $1" >&2
    exit 1
}

[[ ! -t 1 ]] || fail "standard output is a terminal: send it to a file or to \`docker import\`"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing: run \`sudo apt-get install mmdebstrap\`"
[[ -r $keyring ]] || fail "Debian's keys are missing: run \`sudo apt-get install debian-archive-keyring\`"
if [[ $(id -u) -ne 0 ]] && ! unshare --user --map-auto --map-root-user true 2>/dev/null; then
    fail "neither root nor allowed a user namespace: become root, or run \`sudo apt-get install uidmap\`"
fi

# A fixed uid lets a data volume move from one image to the next. The package's maintainer script keeps an existing
# user.
# shellcheck disable=SC2016 # mmdebstrap fills in "$1"
add_user='set -e
echo "rabbitmq:x:999:" >>"$1/etc/group"
echo "rabbitmq:!::" >>"$1/etc/gshadow"
echo "rabbitmq:x:999:999:RabbitMQ:/var/lib/rabbitmq:/usr/sbin/nologin" >>"$1/etc/passwd"
echo "rabbitmq:!:1::::::" >>"$1/etc/shadow"
'

# The package installs an Erlang cookie, which is a password: every broker has to generate its own. Logs are removed
# too: they differ from build to build.
# shellcheck disable=SC2016
clean='set -e
find "$1/var/lib/rabbitmq" -mindepth 1 -delete
install -d -o 999 -g 999 -m 0750 "$1/var/lib/rabbitmq" "$1/etc/rabbitmq" "$1/var/log/rabbitmq"
find "$1/var/log" -type f -delete
rm -rf "$1/var/lib/apt/lists" "$1/var/cache/apt" "$1/var/cache/debconf" "$1/var/lib/dpkg/info/"*.md5sums
'

# Debian's wrapper of the server forwards no signal, so ours takes its place. Its wrappers of the tools know where the
# plugins are, which the tools themselves do not.
# shellcheck disable=SC2016
add_server='set -e
printf "#!/bin/sh\nexec /usr/lib/rabbitmq/bin/rabbitmq-server \"\$@\"\n" >"$1/usr/local/sbin/rabbitmq-server"
chmod 0755 "$1/usr/local/sbin/rabbitmq-server"
'

# Check-Valid-Until: a mirror's index of forky can expire before the next one is published.
mmdebstrap \
    --variant=essential \
    --include=rabbitmq-server \
    --keyring="$keyring" \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/lintian/*' \
    --essential-hook="$add_user" \
    --customize-hook="$clean" \
    --customize-hook="$add_server" \
    --format=tar \
    "$suite" - "deb $mirror $suite main"
