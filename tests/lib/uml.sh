# shellcheck shell=bash
# A Linux kernel as an ordinary process (User-Mode Linux): the NFS client of the system tests. It boots this machine's own
# root, read-only, with tmpfs where programs write, runs one script as root and gives its output and exit status back.
# The guest sees WORK, TOP and BUILD under the same paths; WORK is writable there.

# uml_missing - says what this machine lacks, or fails when nothing is.
uml_missing() {
	have linux.uml ip perl || return 0
	[ "$(id -u)" = 0 ] || { echo "needs root, for a network namespace"; return 0; }
	[ -c /dev/net/tun ] || { echo "no /dev/net/tun"; return 0; }
	[ -d /usr/lib/uml/modules ] || { echo "no modules for linux.uml"; return 0; }
	return 1
}

# net_create - a network namespace NETNS with loopback and a tap for one guest: HOST_IP on this end, GUEST_IP on the other.
net_create() {
	NETNS=chimera-$$
	HOST_IP=10.77.0.1 GUEST_IP=10.77.0.2
	ip netns add "$NETNS" || return 1
	on_exit "ip netns del $NETNS"
	ip -n "$NETNS" link set lo up
	in_net ip tuntap add dev tap0 mode tap
	ip -n "$NETNS" addr add "$HOST_IP/24" dev tap0
	ip -n "$NETNS" link set tap0 up
}

# Not "ip netns exec": its mount namespace would keep alive what others unmount.
in_net() { nsenter --net="/run/netns/$NETNS" "$@"; }

# uml_run [-m MEMORY] [-t SECONDS] [-d IMAGE] SCRIPT [ARG...] - exit status of SCRIPT; 124: out of time, 125: the guest died.
# IMAGE becomes /dev/ubda. Variables of the caller that the script needs go in UML_ENV, as an array of names.
uml_run() {
	local memory=512M limit=120 disk=() dir name o OPTIND=1 OPTARG status
	while getopts m:t:d: o; do
		case $o in
		m) memory=$OPTARG ;;
		t) limit=$OPTARG ;;
		d) disk=("ubd0=$OPTARG") ;;
		*) return 2 ;;
		esac
	done
	shift $((OPTIND - 1))
	dir=$(mktemp -d "$WORK/uml.XXXXXX")
	{
		for name in TOP BUILD TOOLS WORK HOST_IP "${UML_ENV[@]}"; do printf 'export %s=%q\n' "$name" "${!name:-}"; done
		printf "export PATH=%q:\$PATH\n" "$BUILD"
		printf '%q ' "$@"
	} >"$dir/command"
	in_net timeout -k 5 "$limit" linux.uml mem="$memory" rootfstype=hostfs root=/dev/root rootflags=/ ro \
		con=null ssl=null con0=null,fd:2 con1=null,fd:1 quiet loglevel=1 umid=uml uml_dir="$dir/" "${disk[@]}" \
		init="$TOP/tests/lib/uml-init" GUEST_DIR="$dir" GUEST_IP="$GUEST_IP/24" GUEST_WORK="$WORK" GUEST_TOP="$TOP" \
		GUEST_BUILD="$BUILD" vec0:transport=tap,ifname=tap0,depth=128,gro=1 2>"$dir/kernel.log" </dev/null
	status=$?
	[ "$status" = 124 ] || [ "$status" = 137 ] && { say "uml: no result after $limit s"; return 124; }
	status=$(cat "$dir/status" 2>/dev/null) || { say "uml: the guest died"; tail -20 "$dir/kernel.log" >&2; return 125; }
	return "$status"
}

# uml_cases [OPTION]... SCRIPT [ARG...] - the same for a script that prints test results: its cases become the caller's.
uml_cases() { cases uml_run "$@"; }
