"""Bytes of RPC, rpcbind, MOUNT and NFSv3 for the protocol tests: encoders, decoders and a server to talk to."""

import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys

NFS, MOUNT, PMAP = 100003, 100005, 100000
AUTH_NONE, AUTH_SYS = 0, 1
OK, PERM, NOENT, IO, NXIO, ACCES, EXIST, XDEV, NODEV, NOTDIR, ISDIR, INVAL = 0, 1, 2, 5, 6, 13, 17, 18, 19, 20, 21, 22
FBIG, NOSPC, ROFS, NAMETOOLONG, NOTEMPTY, STALE = 27, 28, 30, 63, 66, 70
BADHANDLE, NOT_SYNC, BAD_COOKIE, NOTSUPP, TOOSMALL, SERVERFAULT, BADTYPE, JUKEBOX = range(10001, 10009)
REG, DIR, BLK, CHR, LNK, SOCK, FIFO = range(1, 8)
(NULL, GETATTR, SETATTR, LOOKUP, ACCESS, READLINK, READ, WRITE, CREATE, MKDIR, SYMLINK, MKNOD, REMOVE, RMDIR, RENAME,
 LINK, READDIR, READDIRPLUS, FSSTAT, FSINFO, PATHCONF, COMMIT) = range(22)


def u32(*values):
    return b"".join(struct.pack(">I", v & 0xFFFFFFFF) for v in values)


def u64(*values):
    return b"".join(struct.pack(">Q", v) for v in values)


def opaque(data):
    if isinstance(data, str):
        data = data.encode()
    return u32(len(data)) + data + bytes(-len(data) % 4)


def auth_sys(uid=0, gid=0, gids=()):
    return u32(AUTH_SYS) + opaque(u32(1) + opaque("test") + u32(uid, gid, len(gids), *gids))


ROOT = auth_sys()
NO_AUTH = u32(AUTH_NONE, 0)


class Reader:
    """Takes a reply apart; running past its end is an error, as is what is left at done()."""

    def __init__(self, data):
        self.data, self.pos = data, 0

    def take(self, n):
        assert self.pos + n <= len(self.data), "reply is too short: %d of %d" % (self.pos + n, len(self.data))
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def u64(self):
        return struct.unpack(">Q", self.take(8))[0]

    def bool(self):
        v = self.u32()
        assert v in (0, 1)
        return bool(v)

    def opaque(self):
        n = self.u32()
        data = self.take(n)
        assert self.take(-n % 4) == bytes(-n % 4), "padding is zero"
        return data

    def done(self):
        assert self.pos == len(self.data), "%d bytes are left" % (len(self.data) - self.pos)

    def time(self):
        return self.u32(), self.u32()

    def fattr(self):
        names = "type mode nlink uid gid size used rdev fsid fileid atime mtime ctime".split()
        r32, r64 = self.u32, self.u64
        values = [r32(), r32(), r32(), r32(), r32(), r64(), r64(), (r32(), r32()), r64(), r64()]
        return dict(zip(names, values + [self.time(), self.time(), self.time()]))

    def post(self):
        return self.fattr() if self.bool() else None

    def pre(self):
        return dict(size=self.u64(), mtime=self.time(), ctime=self.time()) if self.bool() else None

    def wcc(self):
        return self.pre(), self.post()

    def post_fh(self):
        return self.opaque() if self.bool() else None


class Conn:
    """One TCP connection (or UDP socket) to a server."""

    def __init__(self, port, udp=False, host="127.0.0.1", timeout=10):
        self.udp = udp
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect((host, port))
        self.xid = random.getrandbits(31)

    def close(self):
        self.sock.close()

    def send_raw(self, data):
        self.sock.sendall(data)

    def send_record(self, data):
        self.sock.sendall(data if self.udp else u32(0x80000000 | len(data)) + data)

    def recv_exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def recv_record(self):
        if self.udp:
            return self.sock.recv(65536)
        data = b""
        while True:
            mark = struct.unpack(">I", self.recv_exactly(4))[0]
            data += self.recv_exactly(mark & 0x7FFFFFFF)
            if mark & 0x80000000:
                return data

    def at_end(self):
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True

    def call_bytes(self, prog, vers, proc, args=b"", cred=ROOT, rpcvers=2, xid=None):
        if xid is None:
            self.xid += 1
            xid = self.xid
        return u32(xid, 0, rpcvers, prog, vers, proc) + cred + NO_AUTH + args

    def raw_call(self, *args, **kw):
        data = self.call_bytes(*args, **kw)
        self.send_record(data)
        r = Reader(self.recv_record())
        assert r.u32() == struct.unpack(">I", data[:4])[0], "xid"
        assert r.u32() == 1, "a reply"
        return r

    def call(self, prog, vers, proc, args=b"", cred=ROOT, **kw):
        """The results of an accepted, successful call."""
        r = self.raw_call(prog, vers, proc, args, cred, **kw)
        assert r.u32() == 0, "accepted"
        assert (r.u32(), r.opaque()) == (0, b""), "verifier"
        stat = r.u32()
        assert stat == 0, "accept_stat %d" % stat
        return r

    def accept_stat(self, *args, **kw):
        r = self.raw_call(*args, **kw)
        assert r.u32() == 0
        r.u32(), r.opaque()
        return r.u32(), r

    def denied(self, *args, **kw):
        r = self.raw_call(*args, **kw)
        assert r.u32() == 1
        return r.u32(), r

    def nfs(self, proc, args, cred=ROOT, **kw):
        return self.call(NFS, 3, proc, args, cred, **kw)


def sattr(mode=None, uid=None, gid=None, size=None, atime=None, mtime=None):
    """A time is None, "now" or (seconds, nanoseconds)."""

    def opt(v, enc):
        return u32(0) if v is None else u32(1) + enc(v)

    def when(t):
        return u32(0) if t is None else u32(1) if t == "now" else u32(2, *t)

    return opt(mode, u32) + opt(uid, u32) + opt(gid, u32) + opt(size, u64) + when(atime) + when(mtime)


class Server:
    """nfs-host with exports; the arguments are its own."""

    def __init__(self, *args, exports=("/data=*:rw,insecure,no_root_squash",), then=()):
        build = os.environ.get("abs_top_builddir") or os.environ.get("BUILD") or os.getcwd()
        cmd = [os.path.join(build, "tests/protocol/nfs-host"), *args, *exports]
        if then:
            cmd += ["--then", *then]
        self.proc = subprocess.Popen(cmd, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        ready, _, _ = select.select([self.proc.stdout], [], [], 20)
        line = self.proc.stdout.readline().decode().split() if ready else []
        assert line and line[0] == "READY", "the server did not start"
        ports = dict(word.split("=") for word in line[1:])
        self.nfs, self.mount, self.portmap = (int(ports[k]) for k in ("nfs", "mount", "portmap"))

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        code = self.proc.wait(20)
        assert code == 0, "the server ended with %d" % code

    def change(self):
        self.proc.send_signal(signal.SIGUSR1)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind:
            self.proc.kill()
            self.proc.wait()
        else:
            self.stop()

    def conn(self, **kw):
        return Conn(self.nfs, **kw)

    def mnt(self, path="/data", cred=ROOT, **kw):
        """(status, root handle, flavours) of MOUNT v3 MNT."""
        c = Conn(self.mount, **kw)
        r = c.call(MOUNT, 3, 1, opaque(path), cred)
        status = r.u32()
        result = (status, None, None)
        if status == 0:
            result = (0, r.opaque(), [r.u32() for _ in range(r.u32())])
        r.done()
        c.close()
        return result


def run(tests):
    """Runs the functions named test_*; prints one line for each; ends with their verdict."""
    failed = 0
    wanted = sys.argv[1:]
    for name, fn in sorted(tests.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        try:
            fn()
            print("ok   %s" % name)
        except Exception as e:
            import traceback
            traceback.print_exc()
            print("FAIL %s: %s" % (name, e))
            failed += 1
    sys.exit(1 if failed else 0)
