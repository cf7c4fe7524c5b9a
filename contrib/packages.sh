# SPDX-License-Identifier: Apache-2.0
# The Debian packages that slurmlike is built with, runs with and is tested with:
# sourced by contrib/quickstart.sh and testsuite/run.sh.
PACKAGES_BUILD="gcc make autoconf automake libtool pkg-config protobuf-c-compiler
 libprotobuf-c-dev libconfig-dev libevent-dev libssl-dev libmunge-dev libhwloc-dev
 libpmix-dev libsqlite3-dev libjansson-dev libpcre2-dev liblzma-dev libyaml-dev libcmocka-dev uthash-dev
 libopenmpi-dev libhdf5-openmpi-dev libdnnl-dev"
PACKAGES_RUN="munge openmpi-bin"
PACKAGES_DEMO="fortunes"
PACKAGES_TEST="python3 python3-pytest python3-pexpect python3-yaml hpcc python3-mpi4py clang git
 procps iproute2 gdb man-db"

# packages_install LIST: as root installs what is missing; as a user says what is.
packages_install() {
    missing=""
    for p in $1; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $p"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "These Debian packages are missing; as root run:" >&2
        echo "  apt-get install -y --no-install-recommends$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 ||
        { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends $missing >/dev/null; }
}

# build_place SOURCE NAME: SOURCE/NAME; or, for root's clone in a folder that other users can
# not enter (/root), one in /var/tmp: the controller and people's commands are not root.
build_place() {
    dir=$1
    while [ "$(id -u)" -eq 0 ] && [ "$dir" != / ]; do
        case $(stat -c %A "$dir") in
        *[xt]) dir=$(dirname "$dir") ;;
        *)
            place=/var/tmp/slurmlike-build-$(echo "$1" | cksum | cut -d' ' -f1)
            mkdir -p -m 755 "$place" && [ -O "$place" ] && [ ! -L "$place" ] || {
                echo "$place: not a folder of root's: remove it" >&2
                return 1
            }
            echo "$place/$2"
            return
            ;;
        esac
    done
    echo "$1/$2"
}

# build_tree SOURCE BUILD [configure options]: configures once and makes.
build_tree() {
    src=$1 bld=$2
    shift 2
    jobs=$(nproc)
    if [ ! -x "$src/configure" ] || [ "$src/configure.ac" -nt "$src/configure" ]; then
        (cd "$src" && autoreconf -i >/dev/null 2>&1) || { (cd "$src" && autoreconf -i); return 1; }
    fi
    mkdir -p "$bld"
    if [ ! -f "$bld/config.status" ] || [ "$src/configure" -nt "$bld/config.status" ]; then
        (cd "$bld" && "$src/configure" -q --prefix="$bld/inst" "$@") || return 1
    fi
    make -s -C "$bld" -j"$jobs" >"$bld/make.log" 2>&1 || { tail -40 "$bld/make.log"; return 1; }
    make -s -C "$bld" install >"$bld/install.log" 2>&1 || { tail -40 "$bld/install.log"; return 1; }
}
