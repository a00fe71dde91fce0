# shellcheck shell=bash
# What every test script uses: messages, bounded waiting, processes that end with the script, TAP results.
# Source it first: it sets TOP (the source tree), BUILD (the build tree) and WORK (a directory removed at exit).

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$TOP/tests/lib/tap.sh"
BUILD=${BUILD:-$TOP/build}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/chimera-test.XXXXXX")
# What drives the servers comes from the plain build: a guest can't run programs with sanitizers.
TOOLS=$TOP/build/tests/system
[ -x "$TOOLS/tree" ] || TOOLS=$BUILD/tests/system
export TOP BUILD WORK TOOLS
PATH=$BUILD:$PATH:/usr/sbin:/sbin

started_pids=()
at_exit=()

# size QUICK DEFAULT ALL - the one that belongs to how much is to be tested.
size() {
	case ${CHIMERA_TEST_SIZE:-default} in
	quick) echo "$1" ;;
	all) echo "$3" ;;
	*) echo "$2" ;;
	esac
}

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# have PROGRAM... - succeeds if all are installed; else names what is missing on stdout.
have() {
	local absent=() p
	for p; do command -v "$p" >/dev/null || absent+=("$p"); done
	[ ${#absent[@]} = 0 ] || { echo "missing: ${absent[*]}"; return 1; }
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
