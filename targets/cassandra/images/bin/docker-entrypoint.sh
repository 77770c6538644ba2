#!/bin/sh
# Puts the environment into cassandra.yaml, as the official image's entrypoint does, then runs the command as `cassandra`.
set -eu

case "${1:-}" in
    "" | -*) set -- cassandra -f "$@" ;;
esac
if [ "$1" != cassandra ]; then
    exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
    chown -R cassandra:cassandra "$CASSANDRA_CONF" /var/lib/cassandra
    exec setpriv --reuid=cassandra --regid=cassandra --clear-groups "$0" "$@"
fi

own=$(hostname -i | awk '{print $1}')
: "${CASSANDRA_RPC_ADDRESS:=0.0.0.0}"
: "${CASSANDRA_LISTEN_ADDRESS:=auto}"
[ "$CASSANDRA_LISTEN_ADDRESS" != auto ] || CASSANDRA_LISTEN_ADDRESS=$own
: "${CASSANDRA_BROADCAST_ADDRESS:=$CASSANDRA_LISTEN_ADDRESS}"
[ "$CASSANDRA_BROADCAST_ADDRESS" != auto ] || CASSANDRA_BROADCAST_ADDRESS=$own
: "${CASSANDRA_BROADCAST_RPC_ADDRESS:=$CASSANDRA_BROADCAST_ADDRESS}"
: "${CASSANDRA_SEEDS:=$CASSANDRA_BROADCAST_ADDRESS}"

yaml=$CASSANDRA_CONF/cassandra.yaml
# Replaces what a pattern matches; through a copy, because a mounted file can't be renamed over.
edit() {
    file=$1
    shift
    edited=$(sed -r "$@" "$file")
    printf '%s\n' "$edited" > "$file"
}
edit "$yaml" "s/(- seeds:).*/\1 \"$CASSANDRA_SEEDS\"/"
put() {
    [ -z "$2" ] || edit "$yaml" "s|^(# )?($1:).*|\2 $2|"
}
put broadcast_address "$CASSANDRA_BROADCAST_ADDRESS"
put broadcast_rpc_address "$CASSANDRA_BROADCAST_RPC_ADDRESS"
put cluster_name "${CASSANDRA_CLUSTER_NAME:-}"
put endpoint_snitch "${CASSANDRA_ENDPOINT_SNITCH:-}"
put listen_address "$CASSANDRA_LISTEN_ADDRESS"
put num_tokens "${CASSANDRA_NUM_TOKENS:-}"
put rpc_address "$CASSANDRA_RPC_ADDRESS"
[ -z "${CASSANDRA_DC:-}" ] || edit "$CASSANDRA_CONF/cassandra-rackdc.properties" "s/^dc=.*/dc=$CASSANDRA_DC/"
[ -z "${CASSANDRA_RACK:-}" ] || edit "$CASSANDRA_CONF/cassandra-rackdc.properties" "s/^rack=.*/rack=$CASSANDRA_RACK/"

exec "$@"
