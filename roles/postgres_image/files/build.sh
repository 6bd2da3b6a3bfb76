#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make the root file system of a PostgreSQL image from Debian's packages, on any Debian or Ubuntu host, as root.
#
# A change for which existing images must be built anew needs a higher __postgres_image_recipe (vars/main.yml).
#
# usage: build.sh SUITE DESTINATION.tar.gz PACKAGE...
# MIRROR and SECURITY_MIRROR: where to get packages; empty is what this host's apt uses.
# KEYRING: the keys of Debian's archive; empty is those of the package debian-archive-keyring.
# EXCLUDE: patterns of paths to leave out, separated by blanks.
set -euf
suite=$1 destination=$2
shift 2

# Not /tmp, which may be small, or not allow programs and devices.
work=$(mktemp -d /var/tmp/postgres-image.XXXXXX)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"

host_mirror() {
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        sed -n "s/^$1 //p" | sed q
}
mirror=${MIRROR:-$(host_mirror Debian)}
security=${SECURITY_MIRROR:-$(host_mirror Debian-Security)}
# Without a mirror (on Ubuntu), mmdebstrap knows Debian's own.
sources=
if [ -n "$mirror" ]; then
    printf 'deb %s %s main\n' "$mirror" "$suite" "$mirror" "$suite-updates" > "$work/sources.list"
    [ -z "$security" ] || printf 'deb %s %s main\n' "$security" "$suite-security" >> "$work/sources.list"
    sources=$work/sources.list
fi

# The proxy of this host's apt; removed from the image below.
apt-config dump | grep -iE '^Acquire::https?::Proxy' > "$work/apt.conf" || true

excludes=
for pattern in ${EXCLUDE:-}; do
    excludes="$excludes --dpkgopt=path-exclude=$pattern"
done
packages=$(echo "$@" | tr ' ' ,)

# The user postgres exists before the packages that would make it, with the official image's ids: data of
# one image can be used by the other.
# No cluster is made, nothing is setuid, no key is shared by all that have this image, and nothing of this host stays.
# shellcheck disable=SC2016,SC2086
mmdebstrap --quiet --mode=root --variant=essential --include="$packages" \
    --keyring="${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}" \
    --aptopt="$work/apt.conf" --aptopt='APT::Install-Recommends "false"' $excludes \
    --essential-hook='echo "postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/sh" >> "$1/etc/passwd"' \
    --essential-hook='echo "postgres:x:999:" >> "$1/etc/group"' \
    --essential-hook='mkdir "$1/etc/postgresql-common"' \
    --essential-hook='echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"' \
    --customize-hook='find "$1" -xdev -type f -perm /6000 -exec chmod ug-s {} +' \
    --customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/var/log/* "$1"/var/cache/* "$1"/var/lib/apt/*' \
    --customize-hook='rm -f "$1"/etc/ssl/private/*.key "$1"/etc/ssl/certs/ssl-cert-snakeoil.pem "$1"/etc/machine-id' \
    --customize-hook=': > "$1/etc/hostname"; : > "$1/etc/resolv.conf"' \
    "$suite" "$work/image.tar.gz" $sources

# Only a whole archive has the final name.
mv "$work/image.tar.gz" "$destination"
