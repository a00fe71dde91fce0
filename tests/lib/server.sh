# shellcheck shell=bash
# An appliance for a test: chimerad and chimera-nfsd under chimera-supervise, in the namespace NETNS if that is set. One at a time.

SERVER=$WORK/server
SERVER_LOG=$SERVER/log
export CHIMERA_SOCKET=$SERVER/run/control.sock
NFS_PORT=2049 MOUNT_PORT=20048 PORTMAP_PORT=111

in_server_net() { if [ -n "${NETNS:-}" ]; then in_net "$@"; else "$@"; fi; }

server_port_open() { in_server_net bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"; }

# server_ports - ports that nobody uses, for a server that shares this machine's network.
server_ports() {
	local base=$((20000 + RANDOM % 20000))
	while port_open 127.0.0.1 "$base" || port_open 127.0.0.1 $((base + 1)); do base=$((base + 7)); done
	NFS_PORT=$base MOUNT_PORT=$((base + 1)) PORTMAP_PORT=$((base + 2))
}

# server_start ADDR [SECTION.KEY=VALUE...] - starts it with nothing mounted, options over the file's.
server_start() {
	local addr=$1 line set=() nfsd
	shift
	for line; do set+=(-o "$line"); done
	nfsd=(-- chimera-nfsd -c "$SERVER/chimera.conf" "${set[@]}")
	case " $* " in *" nfs.host=inline "*) nfsd=() ;; esac
	mkdir -p "$SERVER/run" "$SERVER/state"
	cat >"$SERVER/chimera.conf" <<-CONF
		[server]
		state_dir = $SERVER/state
		run_dir = $SERVER/run

		[nfs]
		listen = $addr
		port = $NFS_PORT
		mount_port = $MOUNT_PORT
		portmap_port = $PORTMAP_PORT
	CONF
	in_server_net chimera-supervise -d -p "$SERVER/run/pid" -s "$SERVER/run/state" -l "$SERVER_LOG" -w "$CHIMERA_SOCKET" \
		chimerad -c "$SERVER/chimera.conf" "${set[@]}" "${nfsd[@]}" || return 1
	on_exit 'server_stop || true'
	wait_for 20 chimeractl status && wait_for 20 server_port_open "$addr" "$NFS_PORT"
}

# server_export NAME BACKEND [RULE] - a store of that kind, exported as /NAME.
server_export() {
	local options=()
	if [ "$2" = linux ]; then
		mkdir -p "$SERVER/store-$1"
		options=(--option "path=$SERVER/store-$1")
	elif [ "$2" = cairn ]; then
		options=(--option "path=$SERVER/store-$1" --option create=yes)
	fi
	chimeractl mount create "$1" --backend "$2" "${options[@]}" &&
		chimeractl export create "/$1" --mount "$1" --client "${3:-*:rw,insecure,no_root_squash}"
}

# server_pid PROGRAM, server_restarts PROGRAM - of the running appliance.
server_pid() { awk -v name="$1" '$1 == name { print $2 }' "$SERVER/run/state"; }
server_restarts() { awk -v name="$1" '$1 == name && $3 == "running" { print $4 }' "$SERVER/run/state"; }

# server_kill PROGRAM - kill -9, then waits until the supervisor has started it again.
server_kill() {
	local n
	n=$(server_restarts "$1")
	kill -KILL "$(server_pid "$1")" && wait_for 20 server_has_restarted "$1" $((n + 1))
}
server_has_restarted() { [ "$(server_restarts "$1")" = "$2" ]; }

# server_stop - fails when a process had to be killed, or did not end well.
server_stop() {
	[ -e "$SERVER/run/pid" ] || return 0
	chimera-supervise -k -p "$SERVER/run/pid" && ! grep 'killing it\|while stopping' "$SERVER_LOG"
}

# server_log_clean [PATTERN] - no sanitizer report, no error and no warning in the log but those that match PATTERN.
server_log_clean() {
	local found
	found=$(grep -aE ' (error|warn)\[|AddressSanitizer|LeakSanitizer|runtime error:' "$SERVER_LOG" | grep -avE "${1:-^$}")
	[ -z "$found" ] || { printf '%s\n' "$found" | head -20; return 1; }
}
