#!/bin/sh
# How one server of TOPOLOGY=replicated begins: start-member.sh postgres SETTING ...
# Where there is an order (a file with an address, see replicated.py), what is here becomes a standby of that server
# first: an old primary by pg_rewind, anything else by a base backup. Then the image's own entrypoint goes on.
set -eu
order=$FAULTLINE_ORDER
rewinding=$PGDATA.rewinding
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

if [ -e "$order" ]; then
    # An old primary is fenced before it is known who follows it.
    while [ "$(cat "$order")" = wait ]; do sleep 0.1; done
    leader=$(cat "$order")
    conninfo="host=$leader port=5432 user=postgres dbname=postgres connect_timeout=2 application_name=$FAULTLINE_NAME"
    rewound=no
    if [ -s "$PGDATA/PG_VERSION" ] && [ ! -e "$PGDATA/standby.signal" ] && [ ! -e "$rewinding" ]; then
        touch "$rewinding"
        rm -f "$PGDATA/postmaster.pid"
        # Recovery ends with a checkpoint, which must not take the log that the rewind needs.
        echo "wal_keep_size = '512MB'" >> "$PGDATA/postgresql.auto.conf"
        if as_postgres pg_rewind --target-pgdata="$PGDATA" --source-server="$conninfo" --no-sync; then
            rewound=yes
            rm "$rewinding"
        fi
    fi
    if [ $rewound = no ]; then
        copy=$PGDATA.copy
        until
            rm -rf "$copy"
            install -d -o postgres -g postgres -m 700 "$copy"
            as_postgres pg_basebackup -d "$conninfo" -D "$copy" -X stream -c fast --no-sync
        do
            sleep 0.5
        done
        rm -rf "$PGDATA"
        mv "$copy" "$PGDATA"
        rm -f "$rewinding"
    fi
    echo "primary_conninfo = '$conninfo'" >> "$PGDATA/postgresql.auto.conf"
    as_postgres touch "$PGDATA/standby.signal"
    rm "$order"
fi
exec docker-entrypoint.sh "$@"
