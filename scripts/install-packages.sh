#!/usr/bin/env bash
# Installs the Debian packages that the named groups need and that are missing.
#
#   scripts/install-packages.sh GROUP...      groups: build, test, bench, fuzz
#
# Says nothing and changes nothing when all is there. Asks for sudo only when something is missing and the caller is not
# root. A server that comes with a package (nginx, haproxy) is neither started nor left enabled: the tests start their own.
set -euo pipefail

readonly POLICY=/usr/sbin/policy-rc.d

fail() {
    echo "install-packages: $*" >&2
    exit 1
}

# One line per package: its name, then the command that shows it is there even if Debian did not install it ("-": ask dpkg).
packages_of() {
    case "$1" in
        # What SwiftPM and the toolchain's linker step need beside the toolchain itself, and python3 for the lint.
        build) printf '%s\n' "git git" "ca-certificates -" "gcc gcc" "libc6-dev -" "libstdc++-12-dev -" "python3 python3" \
            "libssl-dev -" "libnghttp2-dev -" "libc-ares-dev -" ;;
        test) printf '%s\n' "nginx nginx" "curl curl" "python3 python3" "python3-venv -" "procps ps" "openssl openssl" "nghttp2-client h2load" "wrk wrk"
            # Debian builds Chromium for these; elsewhere the tests that need a browser are skipped.
            case "$(uname -m)" in x86_64 | aarch64 | armv7l | i686 | ppc64le) echo "chromium chromium" ;; esac ;;
        bench) printf '%s\n' "nginx nginx" "haproxy haproxy" "wrk wrk" "nghttp2-client h2load" "nghttp2-proxy nghttpx" "openssl openssl" "python3 python3" "python3-venv -" "gcc gcc" "libc6-dev -" ;;
        fuzz) printf '%s\n' "libstdc++-12-dev -" ;;
        *) fail "no group named '$1' (build, test, bench, fuzz)" ;;
    esac
}

is_installed() {
    local package=$1 command=$2
    if [ "$command" != "-" ] && PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null 2>&1; then
        return 0
    fi
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# A package's post-install script starts its server unless policy-rc.d forbids it (exit code 101). The file is ours only
# if there was none before.
forbid_service_starts() {
    [ -e "$POLICY" ] && return 0
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
    trap 'as_root rm -f "$POLICY"' EXIT
}

# A unit that this run installed would start at the next boot.
disable_new_services() {
    local unit
    command -v systemctl >/dev/null 2>&1 || return 0
    for unit in nginx haproxy nghttpx; do
        case " $* " in
            *" $unit "* | *" nghttp2-proxy "*)
                echo "install-packages: leaving the $unit service disabled"
                as_root systemctl disable "$unit" >/dev/null 2>&1 || true
                ;;
        esac
    done
}

main() {
    [ $# -gt 0 ] || fail "usage: scripts/install-packages.sh GROUP... (build, test, bench, fuzz)"
    local group package command listing missing=()
    for group in "$@"; do
        listing=$(packages_of "$group")
        while read -r package command; do
            is_installed "$package" "$command" && continue
            [[ " ${missing[*]-} " == *" $package "* ]] || missing+=("$package")
        done <<<"$listing"
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    command -v apt-get >/dev/null 2>&1 \
        || fail "missing: ${missing[*]}. This is not a Debian system: please install them with its own package manager."
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}"
        echo "install-packages: installing ${missing[*]} (with sudo)"
    else
        echo "install-packages: installing ${missing[*]}"
    fi

    forbid_service_starts
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    disable_new_services "${missing[@]}"
    echo "install-packages: done"
}

main "$@"
