# shellcheck shell=bash
# nfs-ganesha as the reference server. Call it in a private network and mount namespace: it takes the well-known
# ports, registers with an rpcbind of its own and writes to /run and /var/lib/nfs, which are covered here.

# ganesha_prepare - once per namespace: loopback, private state directories, rpcbind.
ganesha_prepare() {
	ip link set lo up
	mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/nfs
	mkdir -p /run/rpcbind /run/ganesha /var/lib/nfs/ganesha /run/lock
	start "$WORK/rpcbind.log" rpcbind -f -w
	wait_for 10 port_open 127.0.0.1 111
}

# ganesha_start FSAL PATH - exports PATH (a name for MEM, a directory for VFS) over NFSv3; its id is left in STARTED.
ganesha_start() {
	cat >"$WORK/ganesha.conf" <<-CONF
		NFS_CORE_PARAM {
			NFS_Protocols = 3;
			MNT_Port = 20048;
			Enable_NLM = false;
			Enable_RQUOTA = false;
			Mount_Path_Pseudo = false;
		}
		EXPORT {
			Export_Id = 1;
			Path = $2;
			Pseudo = /export;
			Access_Type = RW;
			Squash = No_Root_Squash;
			Protocols = 3;
			Transports = TCP;
			SecType = sys;
			FSAL { Name = $1; }
		}
	CONF
	start "$WORK/ganesha.out" ganesha.nfsd -F -f "$WORK/ganesha.conf" -L "$WORK/ganesha.log" -N EVENT -p "$WORK/ganesha.pid"
	wait_for 60 port_open 127.0.0.1 2049 && wait_for 60 grep -q 'NFS SERVER INITIALIZED' "$WORK/ganesha.log" && rm -f "$WORK/ganesha.log"
}
