#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
exec > /alloc/data/initdb.stdout.0 2> /alloc/data/initdb.stderr.0
for volume in "$@"; do
    cd "/volumes/$volume"
    [ ! -e prepared ] || continue
    # The cluster is initialised under another name and then renamed, so that an interrupted run leaves nothing that looks whole.
    rm -rf data data.new
    initdb --pgdata=data.new --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
        --data-checksums --encoding=UTF8 --locale=C.UTF-8 --no-instructions
    mv data.new data
    : > prepared
    sync -f .
done
