#!/bin/sh
# Makes a cluster, has supervisord run it, waits until it has done what HOST_SQL says.
# $1: the host's folder, $2: where the cluster goes, $3: where supervisord is, $4: app, where its session is to begin.
set -eu
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
mkdir -p "$1" "$2"
as= user=
if [ "$(id -u)" = 0 ]; then # a server refuses to be root, so it is the package's own user
  chmod 711 "$1/.."
  chown postgres "$2"
  as='runuser -u postgres --' user='user=postgres'
fi
(cd / && $as "$bin/initdb" -D "$2" -U postgres -A trust --no-sync --wal-segsize=1 >/dev/null)
umask 077
cat >"$1/supervisord.conf" <<END
[unix_http_server]
file=%(here)s/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
pidfile=%(here)s/supervisord.pid
logfile=%(here)s/supervisord.log
childlogdir=%(here)s
[supervisorctl]
serverurl=unix://%(here)s/supervisor.sock
[program:postgres]
command=$bin/postgres -D $2 -k $2 -c listen_addresses= -c fsync=off
directory=/
$user
stopsignal=INT
stderr_logfile=$2.log
stdout_logfile=NONE
[program:app]
command=/bin/sh -c '(echo "BEGIN; SELECT 1;"; exec sleep 600) | exec psql -X -h $2 -U app postgres'
directory=/
autostart=false
autorestart=false
startsecs=2
stopasgroup=true
stdout_logfile=NONE
stderr_logfile=NONE
END
"$3/supervisord" -c "$1/supervisord.conf"
for _ in $(seq 300); do
  if psql -X -q -h "$2" -U postgres -c "$HOST_SQL" postgres 2>/dev/null >&2; then
    [ -z "${4:-}" ] || exec "$3/supervisorctl" -c "$1/supervisord.conf" start "$4"
    exit 0
  fi
  sleep 0.1
done
cat "$2.log" >&2
exit 1
