#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes the root file system of a PostgreSQL image from Debian's packages, on any Debian or Ubuntu host, as root.
#
# If existing images must be built again after a change of this file, increase __postgres_image_recipe (vars/main.yml).
#
# usage: build.sh SUITE DESTINATION.tar.gz PACKAGE...
# MIRROR and SECURITY_MIRROR: the mirrors of the packages. If empty, the mirrors that this host's apt uses.
# KEYRING: the keys of Debian's archive. If empty, the keys of the package debian-archive-keyring.
# CHECK_VALID_UNTIL: `false` accepts package lists that have expired. Their signatures are checked all the same.
# OLDER_SUITE: another release that packages may come from. If both releases have a package, the newer one is taken.
# COMPILE: Debian's source packages of extensions that have no package for this version of PostgreSQL, separated by blanks.
# PGDG_MIRROR and PGDG_KEYRING: a mirror of the PostgreSQL project's own packages, which are used, too, and their keys.
# EXCLUDE: patterns of paths to leave out, separated by blanks.
set -euf
suite=$1 destination=$2
shift 2

# /tmp is not used, because it may be small, or may not allow programs and devices.
work=$(mktemp -d /var/tmp/postgres-image.XXXXXX)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"

host_mirror() {
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        sed -n "s/^$1 //p" | sed q
}
mirror=${MIRROR:-$(host_mirror Debian)}
security=${SECURITY_MIRROR:-$(host_mirror Debian-Security)}
# Without a mirror (on Ubuntu), mmdebstrap uses Debian's own.
sources=
if [ -n "$mirror" ]; then
    printf 'deb %s %s main\n' "$mirror" "$suite" "$mirror" "$suite-updates" > "$work/sources.list"
    [ -z "$security" ] || printf 'deb %s %s main\n' "$security" "$suite-security" >> "$work/sources.list"
    sources=$work/sources.list
fi

# The build uses the proxy of this host's apt. The setting is removed from the image below.
apt-config dump | grep -iE '^Acquire::https?::Proxy' > "$work/apt.conf" || true

excludes=
for pattern in ${EXCLUDE:-}; do
    excludes="$excludes --dpkgopt=path-exclude=$pattern"
done

# Runs mmdebstrap with the options that all systems below have in common.
server=$1
export work suite server
system() {
    # shellcheck disable=SC2016,SC2086
    mmdebstrap --quiet --mode=root --variant=essential \
        --keyring="${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}" \
        --aptopt="$work/apt.conf" --aptopt='APT::Install-Recommends "false"' \
        --aptopt="Acquire::Check-Valid-Until \"${CHECK_VALID_UNTIL:-true}\"" \
        --setup-hook='[ -z "${OLDER_SUITE:-}" ] || find "$1/etc/apt" -name "*.list" -exec sed -i "p; s/ $suite/ $OLDER_SUITE/" {} +' \
        --setup-hook='[ -z "${PGDG_MIRROR:-}" ] || echo "deb [signed-by=$PGDG_KEYRING] $PGDG_MIRROR $suite-pgdg main" > "$1/etc/apt/sources.list.d/pgdg.list"' \
        "$@" $sources
}

# Extensions are compiled in a system of their own, because the image should have no compiler. The server's development package is only
# unpacked: to install it would need Clang and LLVM, a gigabyte, for the JIT compiler that is left out below. Empty OPTFLAGS compile for any
# processor, as Debian's packages are.
mkdir "$work/compiled"
if [ -n "${COMPILE:-}" ]; then
    # shellcheck disable=SC2016
    system --include="$1,gcc,libc6-dev,make" \
        --setup-hook='find "$1/etc/apt" -name "*.list" -exec sed -i "p; s/^deb /deb-src /" {} +' \
        --customize-hook='set -eu
            mkdir "$1/compile" && cd "$1/compile"
            APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --quiet download "$(echo "$server" | sed s/-/-server-dev-/)"
            dpkg-deb --extract ./*.deb "$1"
            for source in $COMPILE; do
                APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --quiet --download-only --only-source source "$source"
                mkdir "$source" && tar -xf "${source}"_*.orig.tar.* -C "$source" --strip-components=1
                chroot "$1" sh -c "make --silent -C /compile/$source install DESTDIR=/compile/out OPTFLAGS= with_llvm=no PG_CONFIG=\$(ls /usr/lib/postgresql/*/bin/pg_config)"
            done
            rm -r out/usr/include
            cp -a out/. "$work/compiled"' \
        "$suite" /dev/null
fi

# The user postgres is made before the packages are installed, with the ids of the official image. So each image can use the data of the
# other. No cluster is made, nothing is setuid, the image has no key that all its users would share, and nothing of this host stays in it.
# shellcheck disable=SC2016,SC2086
system --include="$(echo "$@" | tr ' ' ,)" $excludes \
    --essential-hook='echo "postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/sh" >> "$1/etc/passwd"' \
    --essential-hook='echo "postgres:x:999:" >> "$1/etc/group"' \
    --essential-hook='mkdir "$1/etc/postgresql-common"' \
    --essential-hook='echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"' \
    --customize-hook='cp -a "$work/compiled/." "$1"' \
    --customize-hook='find "$1" -xdev -type f -perm /6000 -exec chmod ug-s {} +' \
    --customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/var/log/* "$1"/var/cache/* "$1"/var/lib/apt/*' \
    --customize-hook='rm -f "$1"/etc/ssl/private/*.key "$1"/etc/ssl/certs/ssl-cert-snakeoil.pem "$1"/etc/machine-id' \
    --customize-hook=': > "$1/etc/hostname"; : > "$1/etc/resolv.conf"' \
    "$suite" "$work/image.tar.gz"

# Only a whole archive has the final name.
mv "$work/image.tar.gz" "$destination"
