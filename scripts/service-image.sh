#!/usr/bin/env bash
# Builds fedctl as a static executable and writes the root file system of the built-in services' image to standard
# output, as a tar. For engines that cannot run the fedctl that controls them: set `service-image` in the topology to
# the image.
#
#   scripts/service-image.sh | docker import - fedctl-service:static
#
# The build has to run on Linux, on the engine's architecture. On macOS that is a container:
#
#   docker run --rm -v "$PWD:/fedctl" -w /fedctl rust scripts/service-image.sh | docker import - fedctl-service:static
set -euo pipefail
cd -- "$(dirname -- "$0")/.."

[[ ! -t 1 ]] || { echo "service-image: standard output is a terminal: pipe it into \`docker import\`" >&2; exit 1; }

target=$(uname -m)-unknown-linux-gnu
# with `--target` the flags are for the executable alone: procedural macros cannot be static
RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target "$target" >&2
"target/$target/release/fedctl" export service-image
