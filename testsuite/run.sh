#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed, builds, runs every test. Safe to run again; `run.sh quick`
# leaves the sanitizer build out; `run.sh -k EXPR` (and other pytest options) picks tests.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/contrib/packages.sh"
packages_install "$PACKAGES_BUILD $PACKAGES_RUN $PACKAGES_DEMO $PACKAGES_TEST"

sanitize=yes
[ "${1:-}" != quick ] || { sanitize=no; shift; }
started=$(date +%s)
say() { printf '== %4ds  %s\n' "$(($(date +%s) - started))" "$*"; }

plain=$(build_place "$top" build-test)
san=$(build_place "$top" build-san)
say "build (in $plain)"
cuda=
command -v nvcc >/dev/null 2>&1 && cuda=--with-cuda
build_tree "$top" "$plain" $cuda

# unit_tests BUILD: automake's check, its logs on failure, one line of counts at the end
unit_tests() {
    good=yes
    make -s -C "$1" -k check >"$1/check.log" 2>&1 || good=no
    passed=$(grep -c '^PASS: ' "$1/check.log" || true)
    failed=$(grep -cE '^(FAIL|ERROR|XPASS): ' "$1/check.log" || true)
    if [ $good = no ]; then
        cat "$1/check.log"
        find "$1" -name test-suite.log -exec cat {} +
    fi
    echo "unit: $passed passed, $failed failed"
    [ $good = yes ]
}

# system_tests BUILD [pytest options]
system_tests() {
    SLURMLIKE_PREFIX="$1/inst" && export SLURMLIKE_PREFIX
    shift
    /usr/bin/python3 -m pytest -q -p no:cacheprovider "$top/testsuite/system" "$@"
}

say "unit and property tests"
unit_tests "$plain"

if [ $sanitize = yes ]; then
    say "build with sanitizers (address, undefined)"
    build_tree "$top" "$san" --enable-sanitizers
    say "unit and property tests under the sanitizers"
    LSAN_OPTIONS="suppressions=$top/testsuite/lsan.supp:print_suppressions=0" &&
        export LSAN_OPTIONS
    unit_tests "$san"
fi

if [ $sanitize = yes ]; then
    say "system tests under the sanitizers"
    (SLURMLIKE_SANITIZED=1 && export SLURMLIKE_SANITIZED &&
        system_tests "$san" -m sanitized)
fi
say "system tests"
system_tests "$plain" "$@"
