#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Writes the copies of records as a list in JSON, and removes it after a minute, or when the job is stopped.
set -eu
exec > /alloc/data/records.stdout.0 2> /alloc/data/records.stderr.0
umask 077
cd /alloc/data
trap 'rm -f records.new records.json' EXIT
trap 'exit 0' INT TERM
fail() {
    printf 'failed %s\n' "$(printf '%s' "$1" | head -c 2000 | tr '\n' ' ')" >&2
    exit 1
}
pgbackrest repo-ls archive > /tmp/stanzas 2> /tmp/problem || fail "$(cat /tmp/stanzas /tmp/problem)"
printf '[' > records.new
between=
while read -r stanza; do
    version=${stanza#pg}
    version=${version%%-*}
    # The status 1 means that the stanza has no copy of a record: its database was made before there were copies.
    status=0
    pgbackrest --ignore-missing repo-get "archive/$stanza/$version-1/record" < /dev/null > /tmp/record 2> /tmp/problem || status=$?
    if [ "$status" = 0 ]; then
        printf '%s' "$between" >> records.new
        cat /tmp/record >> records.new
        between=,
    elif [ "$status" != 1 ]; then
        fail "$(cat /tmp/record /tmp/problem)"
    fi
done < /tmp/stanzas
printf ']' >> records.new
mv records.new records.json
sleep 60 &
wait $!
