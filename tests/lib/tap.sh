# shellcheck shell=bash
# Results in the Test Anything Protocol, on this machine and in guests. WORK is a directory to write to.

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

# adopt LOG - the results in LOG, of another program, become the caller's.
adopt() {
	local line
	while IFS= read -r line; do
		case $line in
		"ok "*" # SKIP "*) line=${line#* - } && skip "${line%% # SKIP *}" "${line#* # SKIP }" ;;
		"ok "*) ok "${line#* - }" ;;
		"not ok "*) not_ok "${line#* - }" ;;
		1..*) ;;
		*) printf '# %s\n' "${line#\# }" ;;
		esac
	done <"$1"
}

# cases COMMAND... - runs a program that prints test results.
cases() {
	local status before=$tap_failed
	"$@" >"$WORK/cases.log" 2>&1
	status=$?
	adopt "$WORK/cases.log"
	[ "$status" = 0 ] || [ "$tap_failed" != "$before" ] || not_ok "$1 ended with status $status"
}
