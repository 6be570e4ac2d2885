# Debian's packages: which are missing, and installing them without letting their services start.
# shellcheck shell=bash

PACKAGES_BUILD=(gcc cmake ninja-build pkg-config libc6-dev mosquitto-dev libuv1-dev libmicrohttpd-dev libwslay-dev
    libcjson-dev libssl-dev libpaho-mqtt-dev libpq-dev libyaml-dev libcmocka-dev)
PACKAGES_UP=(mosquitto mosquitto-clients postgresql curl nodejs npm)
PACKAGES_TEST=(clang-format chromium python3-socketio python3-requests python3-websocket)

# packages_need build|up|test: installs what that needs and is not there.
packages_need() {
    local want=("${PACKAGES_BUILD[@]}") missing=() name
    [ "$1" = build ] || want+=("${PACKAGES_UP[@]}")
    [ "$1" != "test" ] || want+=("${PACKAGES_TEST[@]}")
    for name in "${want[@]}"; do
        packages_there "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "missing Debian packages: ${missing[*]}"
    packages_install "${missing[@]}"
}

# Programs count however they came to be there; libraries only as packages.
packages_there() {
    case $1 in
        gcc | cmake | npm | curl | clang-format | chromium) command -v "$1" >/dev/null ;;
        nodejs) command -v node >/dev/null ;;
        ninja-build) command -v ninja >/dev/null ;;
        mosquitto) [ -n "$(packages_mosquitto)" ] ;;
        mosquitto-clients) command -v mosquitto_sub >/dev/null ;;
        postgresql) [ -n "$(packages_postgres)" ] ;;
        *) dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed ;;
    esac
}

packages_mosquitto() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto || true; }

# The folder of PostgreSQL's server programs: the newest of Debian's, else what is on the PATH.
packages_postgres() {
    local folder newest=
    while read -r folder; do
        [ ! -x "$folder/postgres" ] || newest=$folder
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
    [ -n "$newest" ] || ! command -v initdb >/dev/null || newest=$(dirname "$(realpath "$(command -v initdb)")")
    printf '%s' "$newest"
}

packages_install() {
    command -v apt-get >/dev/null || die "this is no Debian: install what these packages give: $*"
    ROOT=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "not root, and no sudo here; run as root: apt-get install $*"
        ROOT=(sudo)
    fi
    local fresh=() name
    for name in mosquitto postgresql; do
        packages_known "$name" || fresh+=("$name")
    done
    trap packages_let_start EXIT
    packages_hold_start "${fresh[@]}"
    packages_apt update
    if [[ " ${fresh[*]} " == *" postgresql "* && " $* " == *" postgresql "* ]] && ! packages_known postgresql-common; then
        packages_apt install postgresql-common
        packages_no_cluster
    fi
    packages_apt install "$@"
    packages_let_start
    trap - EXIT
    packages_disable "${fresh[@]}"
}

packages_known() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

packages_apt() {
    say "apt-get $*"
    local log
    log=$(mktemp)
    if ! "${ROOT[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        die "apt-get $1 failed (above); mend that and run this again"
    fi
    rm -f "$log"
}

# Debian starts a service when its package is installed. Ours are private ones, so that the services of
# packages that come new are kept from starting; a policy that is there already, and services that run
# already, are left alone.
POLICY=/usr/sbin/policy-rc.d
POLICY_OURS=no
packages_hold_start() {
    [ $# -gt 0 ] && [ ! -e $POLICY ] || return 0
    POLICY_OURS=yes
    "${ROOT[@]}" tee $POLICY >/dev/null <<END
#!/bin/sh
# Made by ./dev for the time of one installation.
case "\$1" in
$(printf '%s*|' "$@" | sed 's/|$//')) exit 101 ;;
esac
exit 0
END
    "${ROOT[@]}" chmod 0755 $POLICY
}

packages_let_start() {
    if [ $POLICY_OURS = yes ]; then
        "${ROOT[@]}" rm -f $POLICY
        POLICY_OURS=no
    fi
    if [ "$CLUSTER_OURS" = yes ]; then
        "${ROOT[@]}" sed -i '/^create_main_cluster = false # by .\/dev$/d' $CLUSTER_CONF
        CLUSTER_OURS=no
    fi
}

# Nor is the cluster wanted that Debian makes for a first PostgreSQL.
CLUSTER_CONF=/etc/postgresql-common/createcluster.conf
CLUSTER_OURS=no
packages_no_cluster() {
    CLUSTER_OURS=yes
    echo 'create_main_cluster = false # by ./dev' | "${ROOT[@]}" tee -a $CLUSTER_CONF >/dev/null
}

# What came new would start with the machine's next boot and take its port.
packages_disable() {
    [ -d /run/systemd/system ] || return 0
    local name
    for name in "$@"; do
        if packages_known "$name" && "${ROOT[@]}" systemctl disable --quiet "$name" 2>/dev/null; then
            say "Debian's own service $name is left disabled; systemctl enable --now $name turns it on"
        fi
    done
}
