#!/bin/sh
# Makes the passwords that compose.yaml asks for, once, and the files that hold them, in .secrets.
# Run it again after every export: a password that is there stays as it is.
#
# Made by `fedctl export compose`: change regions.yaml and run that again rather than change this.
set -eu
umask 077
cd -- "$(dirname -- "$0")"
mkdir -p .secrets
chmod 0700 .secrets
echo '*' >.secrets/.gitignore
: >.secrets/fill.sed

# A password is 192 random bits, in a file of its own.
password() {
    file=.secrets/passwords/$1
    mkdir -p "${file%/*}"
    [ -s "$file" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file"
    secret=$(cat "$file")
    printf 's|@%s@|%s|g\n' "$1" "${secret:?no password was made}" >>.secrets/fill.sed
}

# Puts passwords in the places of their names. A container's user is not the one who runs this, so each file may be
# read by all; but nobody else gets through .secrets to it, and a container sees only the files mounted into it.
fill() {
    file=.secrets/$1
    mkdir -p "${file%/*}"
    sed -f .secrets/fill.sed >.secrets/filled
    cmp -s .secrets/filled "$file" || cat .secrets/filled >"$file"
    chmod 0644 "$file"
}

password europe/fedctl
password europe/services
password asia/fedctl
password asia/services
password america/fedctl
password america/services
password asia/link-europe
password america/link-europe
password europe/link-asia
password america/link-asia
password europe/link-america
password asia/link-america

fill europe/broker/definitions.json <europe/broker/definitions.template.json
printf %s 'amqp://services:@europe/services@@broker:5672/%2F' | fill europe/products/amqp-uri
printf %s 'amqp://services:@europe/services@@broker:5672/%2F' | fill europe/indexer/amqp-uri
printf %s 'amqp://services:@europe/services@@broker:5672/%2F' | fill europe/taxes/amqp-uri
fill asia/broker/definitions.json <asia/broker/definitions.template.json
printf %s 'amqp://services:@asia/services@@broker:5672/%2F' | fill asia/products/amqp-uri
printf %s 'amqp://services:@asia/services@@broker:5672/%2F' | fill asia/indexer/amqp-uri
printf %s 'amqp://services:@asia/services@@broker:5672/%2F' | fill asia/taxes/amqp-uri
fill america/broker/definitions.json <america/broker/definitions.template.json
printf %s 'amqp://services:@america/services@@broker:5672/%2F' | fill america/products/amqp-uri
printf %s 'amqp://services:@america/services@@broker:5672/%2F' | fill america/indexer/amqp-uri
printf %s 'amqp://services:@america/services@@broker:5672/%2F' | fill america/taxes/amqp-uri

chmod a+r europe/broker/rabbitmq.conf
chmod a+r asia/broker/rabbitmq.conf
chmod a+r america/broker/rabbitmq.conf

rm .secrets/fill.sed .secrets/filled
