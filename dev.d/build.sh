# Building: release for running, ASan and UBSan for tests; and running ctest.
# shellcheck shell=bash

build_release() { build_tree build/release -DCMAKE_BUILD_TYPE=RelWithDebInfo; }

build_test() { build_tree build/test -DCMAKE_BUILD_TYPE=Debug -DPARLOR_SANITIZE=ON; }

# build_tree FOLDER OPTIONS: quiet when all is well; the compiler's words when not.
build_tree() {
    local folder=$1 started=$SECONDS
    shift
    { mkdir -p "$folder" && touch "$folder/.lock" "$folder/build.log"; } 2>/dev/null ||
        die "cannot write to $CHECKOUT/build: run as the owner of the checkout"
    say "building $folder ..."
    if ! build_run build_steps "$folder" "$@" 9>"$folder/.lock" >"$folder/build.log" 2>&1; then
        grep -E -A 12 'error|Error|FAILED' "$folder/build.log" | head -n 60 >&2 || tail -n 30 "$folder/build.log" >&2
        die "the build failed; all of its output is in $folder/build.log"
    fi
    [ $((SECONDS - started)) -lt 3 ] || say "built in $((SECONDS - started)) s"
}

build_steps() {
    local folder=$1
    shift
    flock 9 && cmake -S . -B "$folder" -G Ninja "$@" && ninja -C "$folder"
}

# build_run COMMAND: runs it as a job of its own, so that what ends us ends all that it has started.
build_run() {
    local job='' status=0
    trap 'build_end "$job" 130' INT
    trap 'build_end "$job" 143' TERM HUP
    set -m
    "$@" </dev/null &
    job=$!
    set +m
    wait "$job" || status=$?
    trap - INT TERM HUP
    return $status
}

# build_end JOB STATUS
build_end() {
    trap '' INT TERM HUP
    [ -z "$1" ] || kill -TERM -- "-$1" 2>/dev/null || true
    wait
    exit "$2"
}

# build_npm FOLDER: the packages of its package-lock.json, exact versions, fetched once; no script of theirs runs.
# What npm says is in build/npm.log.
build_npm() {
    local folder=$1
    [ ! "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ] || return 0
    say "npm ci in $folder ..."
    mkdir -p build
    build_run npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund >build/npm.log 2>&1 || return 1
    touch "$folder/node_modules/.package-lock.json"
}

# The JavaScript that tests use.
build_test_npm() {
    local folder
    for folder in tests/integration tests/documents $SWAGGER_UI; do
        build_npm "$folder" || {
            tail -n 15 build/npm.log >&2
            die "npm ci failed in $folder (above)"
        }
    done
}

# The page /api/docs. Parlor runs without it too.
SWAGGER_UI=deploy/swagger-ui
build_swagger_ui() {
    build_npm $SWAGGER_UI || say "npm could not fetch Swagger UI (build/npm.log): /api/docs stays empty until it can"
}

# Where tests keep their clusters: in memory where there is room, for how long a disk takes to sync is not what
# they are about, and a disk that stalls for two seconds makes honest servers say `unavailable`.
build_test_folder() {
    local shm=/dev/shm free
    free=$(df --output=avail -k $shm 2>/dev/null | tail -n 1) || true
    if [ -z "${TMPDIR:-}" ] && [ -w $shm ] && [ "${free:-0}" -gt 4000000 ]; then
        printf %s $shm
    else
        printf %s "${TMPDIR:-/tmp}"
    fi
}

# What `./dev test` knows, told before anything is built.
build_check_part() {
    case $1 in
        '' | unit | integration | faults | browser | documents | fuzz | tidy) ;;
        *) die "the parts are unit, integration, faults, browser, documents, fuzz and tidy, not '$1'" ;;
    esac
}

# build_ctest [PART [NAME]]
build_ctest() {
    local part=${1:-} name=${2:-} args=()
    [ -z "$part" ] || args+=(-L "^$part\$")
    [ -z "$name" ] || args+=(-R "$name")
    case $part in
        '' | integration | faults | browser | documents) build_test_npm ;;
    esac
    TMPDIR=$(build_test_folder)
    export TMPDIR
    exec ctest --test-dir build/test --output-on-failure --no-tests=error -j "$(nproc)" "${args[@]}"
}
