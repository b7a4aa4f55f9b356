#!/usr/bin/env bash
# Builds the fuzz targets and runs each for some seconds on its corpus.
#
#   Fuzz/run.sh [SECONDS [TARGET...]]     30 seconds each of all targets by default; 0 only replays the corpus
#
# A target is a folder here: Swift files with LLVMFuzzerTestOneInput, and seeds under corpus/. Beside HTTPCodecs, which all are linked
# with, it may name files in `sources` that are compiled with it, for they import nothing. What the fuzzer finds interesting
# is collected outside the source tree; an input that breaks a property is left in $FUZZ_SCRATCH/findings and makes the run fail.
# Replay one with `$FUZZ_SCRATCH/bin/TARGET FILE`. Environment: FUZZ_SCRATCH (.build/fuzz), FUZZ_JOBS (jobs of the build, 2).
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SECONDS_EACH=${1:-30}
readonly SCRATCH=${FUZZ_SCRATCH:-.build/fuzz}
readonly JOBS=${FUZZ_JOBS:-2}
[ $# -gt 0 ] && shift

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for corpus in Fuzz/*/corpus; do targets+=("$(basename "$(dirname "$corpus")")"); done
fi

# The library with coverage counters in Swift and C alike; optimised, for preconditions and overflow checks stay in.
build_library() {
    local target
    # SwiftPM builds of a target what it imports itself, and not what that imports.
    for target in CBlockCache HTTPCodecs; do
        swift build --scratch-path "$SCRATCH" -j "$JOBS" -c release --target "$target" \
            --sanitize=address -Xswiftc -sanitize=fuzzer -Xcc -fsanitize=fuzzer-no-link
    done
}

# SwiftPM would give an executable a `main` of its own, which libFuzzer brings; so targets are linked by the compiler.
build_target() {
    local target=$1 products source objects=() sources=()
    products=$(swift build --scratch-path "$SCRATCH" -c release --show-bin-path)
    mkdir -p "$SCRATCH/bin"
    # By source and not by what lies there: the object of a file that was renamed would be linked twice.
    while read -r source; do
        objects+=("$products/$(cut -d/ -f2 <<<"$source").build/$(basename "$source").o")
    done < <(find Sources/HTTPCodecs Sources/CHTTPScanner Sources/CNGHTTP2 Sources/CBlockCache -name '*.swift' -o -name '*.c')
    [ ! -f "Fuzz/$target/sources" ] || mapfile -t sources <"Fuzz/$target/sources"
    swiftc -O -g -parse-as-library -package-name fuzz -swift-version 6 -strict-memory-safety -warnings-as-errors \
        -use-ld=lld -sanitize=fuzzer,address -module-name "Fuzz$target" -o "$SCRATCH/bin/$target" \
        -I "$products/Modules" -Xcc -fmodule-map-file="$products/CHTTPScanner.build/module.modulemap" \
        -Xcc -fmodule-map-file="$products/CNGHTTP2.build/module.modulemap" \
        -Xcc -fmodule-map-file="$products/CBlockCache.build/module.modulemap" \
        Fuzz/Shared/*.swift "Fuzz/$target"/*.swift ${sources[@]+"${sources[@]}"} \
        "${objects[@]}" "$products"/HTTPTypes.build/*.o -lnghttp2
}

build_library
failed=()
for target in "${targets[@]}"; do
    build_target "$target"
    grown="$SCRATCH/corpus/$target" findings="$SCRATCH/findings/$target"
    mkdir -p "$grown" "$findings"
    echo "== $target, $SECONDS_EACH s"
    limit=(-max_total_time="$SECONDS_EACH")
    [ "$SECONDS_EACH" -gt 0 ] || limit=(-runs=0)
    # Leak detection is off: the runtime keeps metadata for the life of the process. So is Swift's own backtracer: libFuzzer and the
    # sanitizer report a trap, and the two together hang.
    if ! SWIFT_BACKTRACE=enable=no ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}" "$SCRATCH/bin/$target" "${limit[@]}" -max_len=2048 -timeout=10 -dict=Fuzz/http.dict \
        -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 -artifact_prefix="$findings/" \
        "$grown" "Fuzz/$target/corpus" 2>"$SCRATCH/$target.log" </dev/null; then
        grep -nE -A40 'property broken|Fatal error|ERROR: ' "$SCRATCH/$target.log" | head -n 60 || tail -n 60 "$SCRATCH/$target.log"
        failed+=("$target")
    else
        grep -E '^stat::|INITED|^Done' "$SCRATCH/$target.log" | sed 's/^/   /'
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "fuzz: findings in: ${failed[*]}; the inputs are under $SCRATCH/findings" >&2
    exit 1
fi
