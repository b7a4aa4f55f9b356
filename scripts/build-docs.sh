#!/usr/bin/env bash
# Converts the documentation of the library targets with DocC into .build/docs/TARGET.doccarchive (or under DOCS_OUTPUT).
#
#   scripts/build-docs.sh [TARGET...]
#
# A target's catalogue (Sources/TARGET/TARGET.docc) is used if there is one; without one the reference pages alone are
# converted. A link to a symbol that does not exist fails the build; one to a library below is written ``/Library/Symbol``.
set -euo pipefail
cd "$(dirname "$0")/.."

# The lower layers first: a library's pages may link to symbols of those below it.
readonly LIBRARIES=(HTTPCodecs AsyncTransport AsyncConnectors AsyncPingora AsyncPingoraConfiguration PrometheusMetrics AsyncPingoraMetrics AsyncPingoraAdmin AsyncPingoraTesting)
readonly OUTPUT=${DOCS_OUTPUT:-.build/docs}
readonly GRAPHS=$OUTPUT/symbol-graphs

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${LIBRARIES[@]}")

# DocC comes with the toolchain, beside the compiler.
docc=$(command -v docc || true)
[ -n "$docc" ] || docc="$(dirname "$(readlink -f "$(command -v swift)")")/docc"
[ -x "$docc" ] || { echo "build-docs: docc is not in this Swift toolchain" >&2; exit 1; }

# A scratch path of its own: symbol graphs are written only for what is compiled, and the flags differ from other builds.
rm -rf "$OUTPUT"
mkdir -p "$GRAPHS/all"
graphs=$(cd "$GRAPHS/all" && pwd)
rm -rf "$OUTPUT-build"
for target in "${targets[@]}"; do
    swift build --scratch-path "$OUTPUT-build" --target "$target" \
        -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir -Xswiftc "$graphs"
done

below=()
for target in "${targets[@]}"; do
    mkdir -p "$GRAPHS/$target"
    # The graphs of dependencies stay out: only this target's own and its extensions of others.
    find "$graphs" -name "$target.symbols.json" -o -name "$target@*.symbols.json" | while read -r graph; do
        cp "$graph" "$GRAPHS/$target/"
    done
    catalogue=()
    [ -d "Sources/$target/$target.docc" ] && catalogue=("Sources/$target/$target.docc")
    "$docc" convert ${catalogue[@]+"${catalogue[@]}"} \
        --additional-symbol-graph-dir "$GRAPHS/$target" \
        --fallback-display-name "$target" \
        --fallback-bundle-identifier "async-pingora.$target" \
        --output-path "$OUTPUT/$target.doccarchive" \
        --enable-experimental-external-link-support ${below[@]+"${below[@]}"} \
        --warnings-as-errors
    below+=(--dependency "$OUTPUT/$target.doccarchive")
    echo "build-docs: $OUTPUT/$target.doccarchive"
done
