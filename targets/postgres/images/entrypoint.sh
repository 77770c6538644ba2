#!/bin/sh
# Makes a database in PGDATA at the first start, as the official image's entrypoint does, then runs the command.
set -eu

if [ -z "${PGDATA:-}" ]; then
    if [ "$PG_MAJOR" -ge 18 ]; then PGDATA=/var/lib/postgresql/$PG_MAJOR/docker; else PGDATA=/var/lib/postgresql/data; fi
fi
export PGDATA

case "${1:-}" in
    -*) set -- postgres "$@" ;;
esac
if [ "${1:-}" != postgres ]; then
    exec "$@"
fi

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
        echo "Error: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
        exit 1
    fi
    password_file=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:-}" > "$password_file"
    if [ -n "${POSTGRES_PASSWORD:-}" ]; then
        # shellcheck disable=SC2086  # the arguments are words on purpose
        initdb -U "$user" --pwfile="$password_file" ${POSTGRES_INITDB_ARGS:-}
    else
        # shellcheck disable=SC2086
        initdb -U "$user" ${POSTGRES_INITDB_ARGS:-}
    fi
    rm -f "$password_file"
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"

    export PGUSER="$user"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
    if [ "$database" != postgres ]; then
        psql -v ON_ERROR_STOP=1 -d postgres -c "CREATE DATABASE \"$database\""
    fi
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
            *.sh) . "$script" ;;
            *.sql) psql -v ON_ERROR_STOP=1 -d "$database" -f "$script" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
fi

exec "$@"
