#!/usr/bin/env python3
"""MOUNT, the port mapper, and what exports allow to whom, at the level of bytes."""

import socket
import tempfile
import time

from nfslib import *

state = tempfile.TemporaryDirectory()
server = Server(
    "-s", state.name,
    exports=("/data=*:rw,insecure,no_root_squash", "/data/inner:/sub=127.0.0.1:rw,insecure,no_root_squash",
             "/ro=127.0.0.0/8:ro,insecure,no_root_squash", "/squash=*:rw,insecure",
             "/all=*:rw,insecure,all_squash,anonuid=77,anongid=78", "/secure=*:rw", "/none=10.9.9.9:rw,insecure",
             "/anyone=*:rw,insecure,sec=none:sys"),
    then=("/data=10.9.9.9:rw,insecure", "/new=*:rw,insecure"))
conn = server.conn()
root = server.mnt("/data")[1]


def mount_call(proc, args=b"", vers=3, **kw):
    c = Conn(server.mount, **kw)
    r = c.call(MOUNT, vers, proc, args)
    c.close()
    return r


def pmap(vers, proc, args=b"", **kw):
    c = Conn(server.portmap, **kw)
    r = c.call(PMAP, vers, proc, args)
    c.close()
    return r


def mkdir(dir, name, cred=ROOT):
    r = conn.nfs(MKDIR, opaque(dir) + opaque(name) + sattr(mode=0o777), cred)
    return r.u32(), r.post_fh() if r.pos and r.data[24:28] == bytes(4) else None


def create(dir, name, cred=ROOT):
    r = conn.nfs(CREATE, opaque(dir) + opaque(name) + u32(0) + sattr(mode=0o666), cred)
    st = r.u32()
    return (st, r.post_fh(), r.post()) if st == 0 else (st, None, None)


def access(fh, cred=ROOT):
    r = conn.nfs(ACCESS, opaque(fh) + u32(63), cred)
    assert r.u32() == 0
    r.post()
    return r.u32()


def test_mnt():
    for udp in (False, True):
        st, fh, flavors = server.mnt("/data", udp=udp)
        assert (st, fh, flavors) == (0, root, [AUTH_SYS])
    assert server.mnt("/data/")[1] == root
    assert server.mnt("//data")[0] in (0, 2)
    assert server.mnt("/nothing")[0] == 2
    assert server.mnt("/datax")[0] == 2
    assert server.mnt("")[0] == 2
    assert server.mnt("data")[0] == 2
    assert server.mnt(b"/da\0ta")[0] == 2
    assert server.mnt("/data/nothing")[0] == 2
    assert server.mnt("/data/" + "n" * 300)[0] == 63
    assert server.mnt("/data/..")[0] == 13
    assert server.mnt("/data/../data")[0] == 13


def test_mnt_of_a_subdirectory_and_a_file():
    st, sub = mkdir(root, "dir")
    create(root, "file")
    assert server.mnt("/data/dir") == (0, sub, [AUTH_SYS])
    assert server.mnt("/data/file")[0] == 20


def test_path_too_long_is_garbage():
    c = Conn(server.mount)
    assert c.accept_stat(MOUNT, 3, 1, opaque("/" + "x" * 1024))[0] == 4
    assert c.accept_stat(MOUNT, 3, 1, b"")[0] == 4
    c.close()


def test_not_for_this_client():
    assert server.mnt("/none")[0] == 13
    assert server.mnt("/secure")[0] == 13, "from a port above 1023"


def test_export_list_shows_what_the_caller_may_mount():
    for vers in (1, 3):
        r, exports = mount_call(5, vers=vers), {}
        while r.bool():
            name, groups = r.opaque(), []
            while r.bool():
                groups.append(r.opaque())
            exports[name] = groups
        r.done()
        assert exports[b"/data"] == [b"*"] and exports[b"/ro"] == [b"127.0.0.0/8"]
        assert b"/none" not in exports and len(exports) == 7


def dump(vers=3):
    r, mounts = mount_call(2, vers=vers), []
    while r.bool():
        mounts.append((r.opaque(), r.opaque()))
    r.done()
    return mounts


def test_mount_table():
    server.mnt("/data")
    server.mnt("/ro")
    server.mnt("/ro")
    for vers in (1, 3):
        assert (b"127.0.0.1", b"/data") in dump(vers)
    assert dump().count((b"127.0.0.1", b"/ro")) == 1
    mount_call(3, opaque("/ro")).done()
    assert (b"127.0.0.1", b"/ro") not in dump() and (b"127.0.0.1", b"/data") in dump()
    mount_call(4).done()
    assert dump() == []


def test_version_1_mnt_refuses():
    assert mount_call(1, opaque("/data"), vers=1).u32() == 13


def test_read_only_export():
    st, ro, _ = server.mnt("/ro")
    assert st == 0
    assert create(ro, "x")[0] == ROFS
    assert conn.nfs(SETATTR, opaque(ro) + sattr(mode=0) + u32(0)).u32() == ROFS
    assert access(ro) == 1 | 2
    st, fh, _ = create(root, "in-ro")
    r = conn.nfs(LOOKUP, opaque(ro) + opaque("in-ro"))
    assert r.u32() == 0
    seen = r.opaque()
    assert seen != fh, "the same file through another export has another handle"
    r = conn.nfs(WRITE, opaque(seen) + u64(0) + u32(1, 0) + opaque("x"))
    assert r.u32() == ROFS


def test_objects_of_two_exports_do_not_mix():
    ro, squash = server.mnt("/ro")[1], server.mnt("/squash")[1]
    create(root, "a")
    r = conn.nfs(RENAME, opaque(root) + opaque("a") + opaque(squash) + opaque("b"))
    assert r.u32() == XDEV


def test_squash():
    squash, every = server.mnt("/squash")[1], server.mnt("/all")[1]
    r = conn.nfs(SETATTR, opaque(root) + sattr(mode=0o777) + u32(0))
    assert r.u32() == 0
    st, _, attr = create(squash, "by-root")
    assert (st, attr["uid"], attr["gid"]) == (0, 65534, 65534)
    st, _, attr = create(squash, "by-user", auth_sys(500, 501))
    assert (st, attr["uid"], attr["gid"]) == (0, 500, 501)
    for i, cred in enumerate((ROOT, auth_sys(500, 501, (1, 2)))):
        st, _, attr = create(every, "by-%d" % i, cred)
        assert (st, attr["uid"], attr["gid"]) == (0, 77, 78)


def test_flavours():
    fh = server.mnt("/data")[1]
    st, r = conn.denied(NFS, 3, GETATTR, opaque(fh), cred=NO_AUTH)
    assert (st, r.u32()) == (1, 5), "too weak"
    st, anyone, flavors = server.mnt("/anyone")
    assert sorted(flavors) == [AUTH_NONE, AUTH_SYS]
    assert conn.nfs(GETATTR, opaque(anyone), NO_AUTH).u32() == 0
    assert conn.nfs(SETATTR, opaque(root) + sattr(mode=0o777) + u32(0)).u32() == 0
    st, _, attr = create(anyone, "by-nobody", NO_AUTH)
    assert (st, attr["uid"]) == (0, 65534)


def test_portmap_version_2():
    for udp in (False, True):
        for prog, vers, port in ((NFS, 3, server.nfs), (MOUNT, 3, server.mount), (MOUNT, 1, server.mount),
                                 (PMAP, 2, server.portmap)):
            for prot in (6, 17):
                assert pmap(2, 3, u32(prog, vers, prot, 0), udp=udp).u32() == port, (prog, vers)
        assert pmap(2, 3, u32(NFS, 2, 6, 0), udp=udp).u32() == server.nfs, "another version of it is there"
        assert pmap(2, 3, u32(4711, 1, 6, 0), udp=udp).u32() == 0
        assert pmap(2, 3, u32(NFS, 3, 99, 0), udp=udp).u32() == 0
        r, seen = pmap(2, 4, udp=udp), set()
        while r.bool():
            seen.add((r.u32(), r.u32(), r.u32(), r.u32()))
        r.done()
        assert (NFS, 3, 6, server.nfs) in seen and (PMAP, 4, 17, server.portmap) in seen and len(seen) == 12


def test_portmap_set_and_unset():
    assert pmap(2, 1, u32(4711, 1, 17, 999)).bool()
    assert pmap(2, 3, u32(4711, 1, 17, 0)).u32() == 999
    assert pmap(2, 3, u32(4711, 1, 6, 0)).u32() == 0
    assert not pmap(2, 1, u32(4711, 1, 17, 998)).bool(), "taken"
    assert pmap(2, 2, u32(4711, 1, 0, 0)).bool()
    assert pmap(2, 3, u32(4711, 1, 17, 0)).u32() == 0
    assert not pmap(2, 2, u32(NFS, 3, 0, 0)).bool(), "ours stay"
    assert not pmap(2, 1, u32(4711, 1, 17, 70000)).bool()
    assert not pmap(2, 1, u32(4711, 1, 5, 70)).bool()
    for i in range(300):
        pmap(2, 1, u32(5000 + i, 1, 17, 999))
    r, n = pmap(2, 4), 0
    while r.bool():
        r.take(16)
        n += 1
    assert n <= 256
    for i in range(300):
        pmap(2, 2, u32(5000 + i, 1, 0, 0))


def test_rpcbind_3_and_4():
    def args(prog, vers, netid, addr=""):
        return u32(prog, vers) + opaque(netid) + opaque(addr) + opaque("")

    def uaddr(port):
        return b"127.0.0.1.%d.%d" % (port >> 8, port & 255)

    for vers in (3, 4):
        assert pmap(vers, 3, args(NFS, 3, "tcp")).opaque() == uaddr(server.nfs)
        assert pmap(vers, 3, args(MOUNT, 3, "udp")).opaque() == uaddr(server.mount)
        assert pmap(vers, 3, args(4711, 3, "udp")).opaque() == b""
        assert pmap(vers, 3, args(NFS, 3, "tcp6")).opaque() == b""
        assert pmap(vers, 1, args(4712, 1, "tcp", "0.0.0.0.3.4")).bool()
        assert pmap(vers, 3, args(4712, 1, "tcp")).opaque() == b"127.0.0.1.3.4"
        assert pmap(vers, 2, args(4712, 1, "")).bool()
        for addr in ("", "0.0.0.0", "1.2.3.4.5", "0.0.0.0.256.1", "x" * 200):
            if addr != "1.2.3.4.5":
                assert not pmap(vers, 1, args(4713, 1, "tcp", addr)).bool() or addr == "0.0.0.0", addr
        pmap(vers, 2, args(4713, 1, ""))
        assert abs(pmap(vers, 6).u32() - time.time()) < 5
        r, seen = pmap(vers, 4), set()
        while r.bool():
            seen.add((r.u32(), r.u32(), r.opaque(), r.opaque(), r.opaque())[:3])
        r.done()
        assert (NFS, 3, b"tcp") in seen and (NFS, 3, b"udp") in seen
    assert pmap(4, 9, args(NFS, 3, "tcp")).opaque() == uaddr(server.nfs)
    assert pmap(4, 9, args(NFS, 2, "tcp")).opaque() == b""
    r, n = pmap(4, 11, args(NFS, 3, "tcp")), 0
    while r.bool():
        assert r.opaque() == uaddr(server.nfs)
        assert (r.opaque(), r.u32()) in ((b"tcp", 3), (b"udp", 1))
        r.opaque(), r.opaque()
        n += 1
    assert n == 2


def test_indirect_calls_are_refused():
    c = Conn(server.portmap)
    for vers, proc in ((2, 5), (3, 5), (4, 5), (4, 10)):
        st, r = c.denied(PMAP, vers, proc, u32(NFS, 3, 0) + opaque(b""))
        assert (st, r.u32()) == (1, 5)
    for vers, proc in ((3, 7), (3, 8), (4, 12)):
        assert c.accept_stat(PMAP, vers, proc, opaque(b""))[0] == 3
    c.close()


def test_zz_changes_of_exports_act_at_once():
    fh = server.mnt("/data")[1]
    gone = server.mnt("/ro")[1]
    assert conn.nfs(GETATTR, opaque(fh)).u32() == 0
    server.change()
    deadline = time.time() + 5
    while conn.nfs(GETATTR, opaque(fh)).u32() != ACCES and time.time() < deadline:
        time.sleep(0.01)
    assert conn.nfs(GETATTR, opaque(fh)).u32() == ACCES
    assert conn.nfs(GETATTR, opaque(gone)).u32() == STALE
    assert server.mnt("/ro")[0] == 2
    assert server.mnt("/data")[0] == 13
    assert server.mnt("/new")[0] == 0


with server:
    run(dict(globals()))
