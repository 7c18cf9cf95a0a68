#!/bin/sh
# Called by cargo as `rustc.sh COMPILER ARGUMENT…` when it builds a guest.
#
# Cargo tells crates apart by `-C metadata=HASH`, and for a package on this machine the hash covers
# the path it stands at. Names of symbols follow from it, and so does their order in the module.
# A package's name and version serve as well, and are the same everywhere.
compiler=$1
shift
case "$CARGO_MANIFEST_DIR" in
"" | "$GLOVEBOX_CARGO_HOME"/*) exec "$compiler" "$@" ;;
esac
count=$#
while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    case "$argument" in
    metadata=*) argument="metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION" ;;
    esac
    set -- "$@" "$argument"
    count=$((count - 1))
done
exec "$compiler" "$@"
