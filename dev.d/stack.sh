# The three servers: their configuration, how each is started, and when it is well.
# shellcheck shell=bash

# Ports first, before minutes are spent on building.
stack_check_ports() {
    local variable port seen=' '
    for variable in HTTP ADMIN MQTT MQTT_WS; do
        port=${variable}_PORT
        port=${!port}
        [[ $seen != *" $port "* ]] || die "port $port is asked for twice: PARLOR_${variable}_PORT needs another one"
        seen+="$port "
        ! stack_listening "$port" ||
            die "port $port is taken$(stack_port_owner "$port"): stop that, or set PARLOR_${variable}_PORT to a free port"
    done
}

stack_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

stack_port_owner() {
    local line
    line=$(ss -Hltnp "sport = :$1" 2>/dev/null | grep -o '"[^"]*",pid=[0-9]*' | head -n 1 | tr -d '"') || true
    [ -z "$line" ] || printf ' by %s, process %s' "${line%,pid=*}" "${line#*,pid=}"
}

# The programs are copied beside the data: the servers' user need not enter the checkout, and building anew
# does not pull a file from under a running process.
stack_install() {
    local file words
    for file in plugin/mosquitto_parlor.so service/parlord ctl/parlorctl; do
        file=$CHECKOUT/build/release/$file
        [ -f "$file" ] || die "the build made no $file; see build/release/build.log"
        words=$(cp -f "$file" "$BIN/.new" 2>&1 && mv -f "$BIN/.new" "$BIN/$(basename "$file")" 2>&1) ||
            die "cannot copy the programs to $BIN: ${words##*: }"
    done
    settings_own_folder "$REAL/swagger-ui" 0755
    for file in swagger-ui.css swagger-ui-bundle.js favicon-32x32.png; do
        file=$CHECKOUT/$SWAGGER_UI/node_modules/swagger-ui-dist/$file
        [ -f "$file" ] || continue
        words=$(install -m 0644 "$file" "$REAL/swagger-ui/" 2>&1) || die "cannot copy Swagger UI to $REAL: ${words##*: }"
    done
}

stack_configure() {
    stack_fill "$CHECKOUT/deploy/parlor.conf.in" | settings_write "$CONF/parlor.conf"
    {
        stack_fill "$CHECKOUT/deploy/mosquitto.conf.in"
        [ "${PARLOR_LOG_LEVEL:-}" != debug ] || echo 'log_type debug'
    } | settings_write "$CONF/mosquitto.conf"
    printf '%s' "${PARLOR_DATABASE_URL:-$(stack_database_url)}" | settings_write "$SECRETS/database_url"
}

# Fills the @NAMES@ of a template.
stack_fill() {
    sed -e "s|@DATA@|$REAL|g" -e "s|@SOCKETS@|$SOCKETS|g" -e "s|@HTTP_PORT@|$HTTP_PORT|g" \
        -e "s|@ADMIN_PORT@|$ADMIN_PORT|g" -e "s|@MQTT_PORT@|$MQTT_PORT|g" -e "s|@MQTT_WS_PORT@|$MQTT_WS_PORT|g" "$1"
}

stack_database_url() { printf 'host=%s port=5432 user=parlor dbname=parlor' "$SOCKETS"; }

# Leaves of the environment what the servers may see. For a subshell: given as words of a command, secrets could be
# read by every user of the machine.
stack_environment() {
    local name keep
    keep=" $(settings_names | tr '\n' ' ') "
    for name in $(compgen -e); do
        [[ $keep == *" $name "* ]] || export -n "${name?}"
    done
    export PATH="$PATH:/usr/sbin" LANG=C.UTF-8 HOME="$REAL" TZ="${TZ:-}"
}

# stack_ctl ARGUMENTS: parlorctl with our configuration.
stack_ctl() (
    stack_environment
    exec "${AS[@]}" "$BIN/parlorctl" --config "$CONF/parlor.conf" "$@"
)

# What parlor.conf or the environment says wrong, before anything is started with it.
stack_check_settings() {
    local words
    words=$(stack_ctl token nobody 2>&1 >/dev/null) || die "${words#parlorctl: }"
}

# ---- PostgreSQL ----

stack_private_database() { [ -z "${PARLOR_DATABASE_URL:-}" ]; }

stack_make_cluster() {
    local folder=$REAL/postgres words
    POSTGRES_BIN=$(packages_postgres)
    [ -n "$POSTGRES_BIN" ] || die "no PostgreSQL server programs here: apt-get install postgresql"
    if [ ! -s "$folder/PG_VERSION" ]; then
        say "making a private PostgreSQL cluster in $folder"
        # Plain C would know no letters but a to z: a search tells upper from lower case by LC_CTYPE.
        rm -rf "$folder.new"
        settings_own_folder "$folder.new" 0700
        words=$(cd "$REAL" && "${AS[@]}" "$POSTGRES_BIN/initdb" -D "$folder.new" -U postgres -A trust -E UTF8 \
            --locale=C --lc-ctype=C.UTF-8 2>&1) || {
            (printf '%s\n' "$words" >"$LOG/initdb.log") 2>/dev/null || true # the disk may be full
            die "initdb failed: $(grep -m 1 -oiE '(error|fatal): .*' <<<"$words" || tail -n 1 <<<"$words")"
        }
        mv "$folder.new" "$folder"
    fi
    local made
    made=$(cat "$folder/PG_VERSION")
    if [ ! -x "/usr/lib/postgresql/$made/bin/postgres" ]; then
        [[ $("$POSTGRES_BIN/postgres" -V) == *" $made."* ]] ||
            die "$folder was made by PostgreSQL $made: install postgresql-$made, or move that folder away"
    else
        POSTGRES_BIN=/usr/lib/postgresql/$made/bin
    fi
    stack_fill "$CHECKOUT/deploy/postgresql.conf.in" | settings_write "$folder/parlor.conf"
    grep -qx "include 'parlor.conf'" "$folder/postgresql.conf" ||
        echo "include 'parlor.conf'" >>"$folder/postgresql.conf"
}

stack_psql() {
    (cd "$REAL" && "${AS[@]}" "$POSTGRES_BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$SOCKETS" -p 5432 "$@")
}

stack_postgres_well() {
    "$POSTGRES_BIN/pg_isready" -q -h "$SOCKETS" -p 5432 -t 2 >/dev/null 2>&1
}

# Only the socket of the servers' user reaches this cluster; parlor owns its database and nothing else.
stack_make_database() {
    [ "$(stack_psql -U postgres -d postgres -c "SELECT 1 FROM pg_roles WHERE rolname = 'parlor'")" = 1 ] ||
        stack_psql -U postgres -d postgres -c 'CREATE ROLE parlor LOGIN'
    [ "$(stack_psql -U postgres -d postgres -c "SELECT 1 FROM pg_database WHERE datname = 'parlor'")" = 1 ] ||
        stack_psql -U postgres -d postgres -c 'CREATE DATABASE parlor OWNER parlor'
}

stack_migrate() {
    local words
    words=$(stack_ctl migrate 2>&1) || die "the database is not ready: ${words##*$'\n'}"
}

# ---- Starting. Each becomes the server's process itself; supervise.sh runs it in the background. ----

stack_exec() {
    stack_environment
    local log=$LOG/$1.log
    case $1 in
        postgres)
            set -- "$POSTGRES_BIN/postgres" -D "$REAL/postgres"
            DEATH=INT # "fast" in PostgreSQL's words; TERM would wait for every client
            ;;
        mosquitto)
            set -- "$(packages_mosquitto)" -c "$CONF/mosquitto.conf"
            DEATH=TERM
            ;;
        parlord)
            set -- "$BIN/parlord" --config "$CONF/parlor.conf"
            DEATH=TERM
            ;;
    esac
    [ ${#AS[@]} -gt 0 ] || AS=(setpriv)
    cd "$REAL" || exit
    ulimit -n "$(ulimit -Hn)" || true
    exec setsid "${AS[@]}" --pdeathsig="$DEATH" "$@" >>"$log" 2>&1 </dev/null 9>&-
}

# ---- Health ----

stack_ready() {
    curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$HTTP_PORT/readyz" 2>/dev/null
}
