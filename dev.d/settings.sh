# Where things are and how they are set: ports, folders, the user that runs the servers, and the secrets.
# shellcheck shell=bash disable=SC2034

say() { printf '%s\n' "$*"; }

# One clear line and the end.
die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

settings_load() {
    settings_ports
    local odd=$'[\'"|&\\[:cntrl:]]'
    [[ ! ${PARLOR_DATA:-} =~ $odd ]] || die "PARLOR_DATA has a quote, | & \\ or a line end in it: choose a plainer name"
    DATA=$(realpath -ms -- "${PARLOR_DATA:-$CHECKOUT/var}")
    settings_pick_user
    # The servers see the folder by its real path; $PARLOR_DATA may be a link to it (settings_make_data).
    REAL=$(realpath -m -- "$DATA")
    settings_paths
}

settings_paths() {
    RUN=$REAL/run CONF=$REAL/conf SECRETS=$REAL/secrets LOG=$REAL/log BIN=$REAL/bin
    # A unix socket's path has at most 107 bytes, and no blanks in the configurations that name it: sockets of
    # a folder that does not suit are in a short one, named by a hash of it and so found again.
    SOCKETS=$REAL/sockets
    if [[ ${#SOCKETS} -gt 80 || $SOCKETS =~ [^A-Za-z0-9._/+-] ]]; then
        SOCKETS=/tmp/parlor-$(settings_hash "$REAL")
    fi
}

settings_ports() {
    HTTP_PORT=$(settings_port PARLOR_HTTP_PORT 3000)
    ADMIN_PORT=$(settings_port PARLOR_ADMIN_PORT 3001)
    MQTT_PORT=$(settings_port PARLOR_MQTT_PORT 1883)
    MQTT_WS_PORT=$(settings_port PARLOR_MQTT_WS_PORT 8083)
}

# A port from the environment, or its default.
settings_port() {
    local value=${!1:-$2}
    if ! [[ $value =~ ^[0-9]{1,5}$ ]] || ((10#$value < 1 || 10#$value > 65535)); then
        die "$1 is '$value': a port is a number from 1 to 65535"
    fi
    printf '%d' "$((10#$value))"
}

settings_hash() { printf '%s' "$1" | sha256sum | cut -c 1-12; }

# PostgreSQL refuses to run as root, and nothing else here should: root starts the servers as Debian's
# `postgres`, others as themselves. AS goes before a server's command line and replaces itself by it, so that
# process ids are the servers' own; a server ends when its supervisor is killed.
settings_pick_user() {
    if [ "$(id -u)" -eq 0 ]; then
        RUN_AS=postgres
        AS=(setpriv --reuid=postgres --regid=postgres --init-groups)
    else
        RUN_AS=$(id -un)
        AS=()
    fi
}

# A data folder belongs to whoever runs its stack. Nobody else's is taken over, and of root nothing that holds other
# things: its servers' user would get them.
settings_check_owner() {
    local owner
    if [ ${#AS[@]} -gt 0 ]; then
        owner=$(stat -c %U -- "$REAL" 2>/dev/null) || return 0
        [ "$owner" = root ] || [ "$owner" = "$RUN_AS" ] || settings_of_another "$owner"
        [ -d "$RUN" ] || [ -z "$(ls -A -- "$REAL")" ] ||
            die "$DATA has other things in it: set PARLOR_DATA to a new folder"
    else
        owner=$(stat -c %U -- "$RUN" 2>/dev/null) || return 0
        [ "$owner" = "$RUN_AS" ] || settings_of_another "$owner"
    fi
}

settings_of_another() {
    [ "$1" != postgres ] || set -- root
    die "$DATA belongs to user $1: run this as $1, or set PARLOR_DATA to another folder"
}

# The data folder and what it always has. Root's servers run as another user: where that one cannot enter
# (a checkout below /root, as a rule), a new data folder is a link to one that it can.
settings_make_data() {
    local below
    if [ ! -e "$DATA" ] && [ ! -L "$DATA" ] && [ ${#AS[@]} -gt 0 ]; then
        below=$(settings_first_existing "$(dirname "$DATA")")
        [ -d "$below" ] || die "cannot make $DATA, for $below is no folder: set PARLOR_DATA to another one"
        if ! "${AS[@]}" test -x "$below"; then
            REAL=/var/lib/parlor/$(settings_hash "$DATA")
            say "user $RUN_AS cannot enter $below: the data goes to $REAL, and $DATA is a link to it"
            mkdir -p "$(dirname "$DATA")" "$REAL"
            ln -s "$REAL" "$DATA"
            settings_paths
        fi
    fi
    mkdir -p "$REAL" 2>/dev/null || die "cannot make $REAL: set PARLOR_DATA to a folder that you may write"
    [ -w "$REAL" ] || die "cannot write to $REAL: set PARLOR_DATA to a folder that you may write"
    settings_own_folder "$REAL" 0755
    local folder
    for folder in "$RUN" "$BIN"; do settings_own_folder "$folder" 0755; done
    for folder in "$CONF" "$SECRETS" "$LOG" "$REAL/state"; do settings_own_folder "$folder" 0700; done
    "${AS[@]}" test -w "$RUN" ||
        die "user $RUN_AS cannot enter $REAL: set PARLOR_DATA to a folder that it can, or run as another user"
    settings_make_sockets
    settings_make_secrets
}

settings_make_sockets() {
    # In /tmp anybody may have been there before: a folder that is not ours is not taken over.
    if mkdir -m 0700 "$SOCKETS" 2>/dev/null; then settings_own_folder "$SOCKETS" 0700; fi
    [ "$(stat -c %U "$SOCKETS")" = "$RUN_AS" ] ||
        die "$SOCKETS belongs to somebody else: remove it, or set PARLOR_DATA to a shorter path"
}

# Makes a folder of the servers' user; its mode is set once.
settings_own_folder() {
    [ -d "$1" ] || mkdir -m "$2" -- "$1"
    [ ${#AS[@]} -eq 0 ] || chown -h "$RUN_AS:" -- "$1"
}

settings_first_existing() {
    local path=$1
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    printf '%s' "$path"
}

# Writes stdin to a file of the servers' user that nobody else reads, in one step.
settings_write() {
    local new=$1.new
    (umask 077 && cat >"$new")
    [ ${#AS[@]} -eq 0 ] || chown "$RUN_AS:" "$new"
    mv -f "$new" "$1"
}

# Secrets are made once and then kept.
settings_make_secrets() {
    local name
    for name in jwt service operator; do
        [ -s "$SECRETS/$name" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' | settings_write "$SECRETS/$name"
    done
}

# ---- What the running stack was started with, whoever asks later in whatever environment ----

# The settings of parlor.conf that the environment has: what the servers get of it.
settings_names() {
    local name
    for name in $(compgen -e PARLOR_ || true); do
        case $name in
            PARLOR_DATA | PARLOR_DATABASE_URL | PARLOR_*_PORT | PARLOR_BUILD) ;;
            PARLOR_ROOM | PARLOR_URL | PARLOR_MQTT_*URL | PARLOR_TOKEN_*) ;; # what ./dev env gives
            *) printf '%s\n' "$name" ;;
        esac
    done
}

# Writes it down, NAME=VALUE and a zero byte each. Secrets given by the environment go into files of their own, and the
# servers read them there.
settings_record() {
    local name secret file
    for secret in jwt service operator; do
        name=PARLOR_${secret^^}_SECRET file=PARLOR_${secret^^}_SECRET_FILE
        rm -f "$SECRETS/$secret.given"
        if [ -z "${!name:-}" ] || [ -n "${!file:-}" ]; then continue; fi # both: parlorctl says that one must go
        printf '%s\n' "${!name}" | settings_write "$SECRETS/$secret.given"
        unset "$name"
        export "$file=$SECRETS/$secret.given"
    done
    {
        for name in $(settings_names); do printf '%s=%s\0' "$name" "${!name}"; done
        for name in HTTP ADMIN MQTT MQTT_WS; do
            name=${name}_PORT
            printf 'PARLOR_%s=%s\0' "$name" "${!name}"
        done
    } | settings_write "$CONF/running"
}

# Reads it into RUNNING.
settings_recorded() {
    local line
    declare -gA RUNNING=()
    while IFS= read -r -d '' line; do
        [[ ! $line =~ ^PARLOR_[A-Z0-9_]+= ]] || RUNNING[${line%%=*}]=${line#*=}
    done <"$CONF/running"
}

# Makes it our own settings.
settings_adopt() {
    local name
    settings_recorded
    for name in $(settings_names); do unset "$name"; done
    for name in "${!RUNNING[@]}"; do export "$name=${RUNNING[$name]}"; done
    settings_ports
}

# Says which of our settings are others.
settings_compare() {
    local name secret differ=()
    settings_recorded
    RUNNING[PARLOR_DATABASE_URL]=$(cat "$SECRETS/database_url")
    for secret in jwt service operator; do
        name=PARLOR_${secret^^}_SECRET
        RUNNING[$name]=$(cat "${RUNNING[${name}_FILE]:-$SECRETS/$secret}" 2>/dev/null) || true
    done
    for name in PARLOR_{HTTP,ADMIN,MQTT,MQTT_WS}_PORT PARLOR_DATABASE_URL $(settings_names); do
        [ -z "${!name:-}" ] || [ "${!name}" = "${RUNNING[$name]:-}" ] || differ+=("$name")
    done
    [ ${#differ[@]} -eq 0 ] || say "the running stack has another ${differ[*]}: yours counts after ./dev down"
}
