#!/bin/sh
### BEGIN INIT INFO
# Provides:          @NAME@
# Required-Start:    $local_fs $remote_fs $network
# Required-Stop:     $local_fs $remote_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: @DESCRIPTION@
### END INIT INFO
# Written by openclaw gateway install; openclaw gateway uninstall takes it away.

@EXPORTS@
PIDFILE=/run/@NAME@.pid

# Statuses as the LSB has them: 0 runs, 3 does not; 2 called wrongly.
daemon() {
	PATH="/sbin:/usr/sbin:$PATH" start-stop-daemon --pidfile "$PIDFILE" "$@"
}

start() {
	daemon --status && return 0
	mkdir -p @LOGS@
@OWN@
	# Returns when the gateway has said READY=1.
	daemon --start --quiet --background --make-pidfile --notify-await --notify-timeout 30@USER@ \
		--startas /bin/sh -- "$0" run
}

stop() {
	daemon --stop --quiet --oknodo --remove-pidfile --retry TERM/30/KILL/5
}

case "$1" in
# What start starts: the gateway itself.
run) exec @COMMAND@ 2>>@LOG@ ;;
start) start ;;
stop) stop ;;
restart | force-reload) stop && start ;;
reload) daemon --stop --quiet --signal HUP ;;
status)
	if daemon --status; then
		echo "@NAME@ runs, pid $(cat "$PIDFILE")"
	else
		echo "@NAME@ does not run"
		exit 3
	fi
	;;
*)
	echo "usage: $0 start|stop|restart|reload|status" >&2
	exit 2
	;;
esac
