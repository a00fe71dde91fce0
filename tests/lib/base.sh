# shellcheck shell=bash
# What every test script uses: messages, bounded waiting, processes that end with the script, TAP results.
# Source it first: it sets TOP (the source tree), BUILD (the build tree) and WORK (a directory removed at exit).

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$TOP/build}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/chimera-test.XXXXXX")
export TOP BUILD WORK
PATH=$BUILD:$PATH:/usr/sbin:/sbin

started_pids=()
at_exit=()

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# have PROGRAM... - succeeds if all are installed; else names what is missing on stdout.
have() {
	local missing=() p
	for p; do command -v "$p" >/dev/null || missing+=("$p"); done
	[ ${#missing[@]} = 0 ] || { echo "missing: ${missing[*]}"; return 1; }
}

# wait_for SECONDS COMMAND... - repeats COMMAND until it succeeds or the time is over.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.02
	done
}

port_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# start LOG COMMAND... - runs COMMAND in the background until the script ends; its id is left in STARTED.
start() {
	local log=$1
	shift
	"$@" >>"$log" 2>&1 </dev/null &
	STARTED=$!
	started_pids+=("$STARTED")
}

# stop PID [SECONDS] - SIGTERM, then SIGKILL when it has not ended in time (and that is a failure).
stop() {
	kill "$1" 2>/dev/null || return 0
	if ! wait_for "${2:-10}" gone "$1"; then
		kill -KILL "$1" 2>/dev/null
		wait "$1" 2>/dev/null
		return 1
	fi
	wait "$1" 2>/dev/null
	return 0
}

# on_exit COMMAND - runs when the script ends, last registered first.
on_exit() { at_exit=("$1" "${at_exit[@]}"); }

clean_up() {
	local status=$? p c
	trap - EXIT INT TERM
	for c in "${at_exit[@]}"; do eval "$c"; done
	for p in "${started_pids[@]}"; do stop "$p" 5 || true; done
	if [ -n "${KEEP:-}" ]; then say "kept: $WORK"; else rm -rf "$WORK"; fi
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- results, in the Test Anything Protocol -------------------------------------------------
tap_n=0
tap_failed=0

tap_line() {
	tap_n=$((tap_n + 1))
	printf '%s %d - %s\n' "$1" "$tap_n" "$2"
}
ok() { tap_line ok "$1"; }
not_ok() { tap_line "not ok" "$1"; tap_failed=$((tap_failed + 1)); }
skip() { tap_line ok "$1 # SKIP $2"; }
note() { sed 's/^/# /'; }

# check NAME COMMAND... - one case: passes if COMMAND does; what it said is shown when it fails.
check() {
	local name=$1 log=$WORK/check.log status
	shift
	"$@" >"$log" 2>&1
	status=$?
	[ "$status" = 0 ] && ok "$name" && return
	not_ok "$name"
	{ printf 'status %s: %s\n' "$status" "$*"; tail -40 "$log"; } | note
	return "$status"
}

# tap_end - the plan and the exit status; the last line of every test script.
tap_end() {
	echo "1..$tap_n"
	[ "$tap_failed" = 0 ]
	exit
}

# skip_all REASON - when nothing of a script can run here.
skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}
