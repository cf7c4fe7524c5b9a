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

say "build"
cuda=
command -v nvcc >/dev/null 2>&1 && cuda=--with-cuda
build_tree "$top" "$top/build-test" $cuda

say "unit and property tests"
make -s -C "$top/build-test" check >"$top/build-test/check.log" 2>&1 ||
    { cat "$top/build-test/check.log"; find "$top/build-test" -name test-suite.log -exec cat {} +; exit 1; }
grep -hE '^# (TOTAL|PASS|FAIL|ERROR)' "$top/build-test/check.log" || true

if [ $sanitize = yes ]; then
    say "build with sanitizers (address, undefined)"
    build_tree "$top" "$top/build-san" --enable-sanitizers
    say "unit and property tests under the sanitizers"
    ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions="$top/testsuite/lsan.supp" \
        make -s -C "$top/build-san" check >"$top/build-san/check.log" 2>&1 ||
        { cat "$top/build-san/check.log"; find "$top/build-san" -name test-suite.log -exec cat {} +; exit 1; }
    grep -hE '^# (TOTAL|PASS|FAIL|ERROR)' "$top/build-san/check.log" || true
    if [ "$#" -eq 0 ]; then
        say "system tests against sanitized daemons"
        SLURMLIKE_PREFIX="$top/build-san/inst" SLURMLIKE_SANITIZED=1 \
            /usr/bin/python3 -m pytest -q -p no:cacheprovider "$top/testsuite/system" -m sanitized
    fi
fi

say "system tests"
SLURMLIKE_PREFIX="$top/build-test/inst" \
    /usr/bin/python3 -m pytest -q -p no:cacheprovider "$top/testsuite/system" "$@"
