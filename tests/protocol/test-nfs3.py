#!/usr/bin/env python3
"""Every NFSv3 procedure at the level of bytes: results, errors, weak cache consistency, limits."""

import os
import tempfile

from nfslib import *

state = tempfile.TemporaryDirectory()
server = Server("-s", state.name)
conn = server.conn(timeout=20)
status, root, flavors = server.mnt()
assert (status, flavors) == (0, [AUTH_SYS])

USER = auth_sys(1000, 1000, (100,))
OTHER = auth_sys(1001, 1001)
counter = 0


def nfs(proc, args, cred=ROOT):
    return conn.nfs(proc, args, cred)


def getattr3(fh, cred=ROOT):
    r = nfs(GETATTR, opaque(fh), cred)
    assert r.u32() == OK
    attr = r.fattr()
    r.done()
    return attr


def lookup(dir, name, cred=ROOT):
    """(status, handle, attributes, directory's attributes)"""
    r = nfs(LOOKUP, opaque(dir) + opaque(name), cred)
    st = r.u32()
    if st:
        result = (st, None, None, r.post())
    else:
        result = (st, r.opaque(), r.post(), r.post())
    r.done()
    return result


def new_object(proc, args, cred=ROOT):
    """CREATE, MKDIR, SYMLINK, MKNOD: (status, handle, attributes, directory's wcc)"""
    r = nfs(proc, args, cred)
    st = r.u32()
    result = (st, None, None, r.wcc()) if st else (st, r.post_fh(), r.post(), r.wcc())
    r.done()
    return result


def create(dir, name, mode=0o644, how=0, cred=ROOT, verf=None, **attrs):
    body = u32(how) + (verf if how == 2 else sattr(mode=mode, **attrs))
    return new_object(CREATE, opaque(dir) + opaque(name) + body, cred)


def mkdir(dir, name, mode=0o755, cred=ROOT):
    return new_object(MKDIR, opaque(dir) + opaque(name) + sattr(mode=mode), cred)


def change(proc, args, cred=ROOT):
    """SETATTR, REMOVE, RMDIR: (status, wcc)"""
    r = nfs(proc, args, cred)
    result = (r.u32(), r.wcc())
    r.done()
    return result


def setattr3(fh, attrs, guard=None, cred=ROOT):
    return change(SETATTR, opaque(fh) + attrs + (u32(0) if guard is None else u32(1, *guard)), cred)


def remove(dir, name, cred=ROOT, proc=REMOVE):
    return change(proc, opaque(dir) + opaque(name), cred)


def write(fh, offset, data, stable=2, cred=ROOT, count=None):
    """(status, wcc, count, committed, verifier)"""
    n = len(data) if count is None else count
    r = nfs(WRITE, opaque(fh) + u64(offset) + u32(n, stable) + opaque(data), cred)
    st, wcc = r.u32(), r.wcc()
    result = (st, wcc) + ((None, None, None) if st else (r.u32(), r.u32(), r.take(8)))
    r.done()
    return result


def read(fh, offset, count, cred=ROOT):
    """(status, attributes, data, eof)"""
    r = nfs(READ, opaque(fh) + u64(offset) + u32(count), cred)
    st, attr = r.u32(), r.post()
    if st:
        return st, attr, None, None
    n, eof, data = r.u32(), r.bool(), r.opaque()
    assert n == len(data)
    r.done()
    return st, attr, data, eof


def commit(fh, offset=0, count=0):
    r = nfs(COMMIT, opaque(fh) + u64(offset) + u32(count))
    st, wcc = r.u32(), r.wcc()
    verf = None if st else r.take(8)
    r.done()
    return st, wcc, verf


def readdir(dir, cookie=0, verf=bytes(8), count=4096, cred=ROOT):
    r = nfs(READDIR, opaque(dir) + u64(cookie) + verf + u32(count), cred)
    size = len(r.data) - r.pos - 4
    st, attr = r.u32(), r.post()
    if st:
        r.done()
        return st, attr, None, None, None
    verf, entries = r.take(8), []
    while r.bool():
        entries.append((r.u64(), r.opaque(), r.u64()))
    eof = r.bool()
    r.done()
    assert size <= max(count, 512), "%d bytes for %d" % (size, count)
    return st, attr, verf, entries, eof


def readdirplus(dir, cookie=0, verf=bytes(8), dircount=4096, maxcount=16384, cred=ROOT):
    r = nfs(READDIRPLUS, opaque(dir) + u64(cookie) + verf + u32(dircount, maxcount), cred)
    size = len(r.data) - r.pos - 4
    st, attr = r.u32(), r.post()
    if st:
        r.done()
        return st, attr, None, None, None
    verf, entries = r.take(8), []
    while r.bool():
        entries.append((r.u64(), r.opaque(), r.u64(), r.post(), r.post_fh()))
    eof = r.bool()
    r.done()
    assert size <= maxcount
    return st, attr, verf, entries, eof


def fresh_dir(mode=0o777):
    global counter
    counter += 1
    st, fh, attr, wcc = mkdir(root, "t%d" % counter)
    assert st == OK
    assert setattr3(fh, sattr(mode=mode))[0] == OK
    return fh


def same(a, b):
    """But for the access time, which reading changes."""
    return {**a, "atime": 0} == {**b, "atime": 0}


def test_getattr():
    a = getattr3(root)
    assert a["type"] == DIR and a["nlink"] >= 2 and a["fileid"] != 0
    _, fh, attr, _ = create(fresh_dir(), "f", 0o640)
    a = getattr3(fh)
    assert a == attr and a["type"] == REG and a["mode"] == 0o640 and a["nlink"] == 1 and a["size"] == 0


def test_handles_that_are_no_handles():
    expected = {0: BADHANDLE, 3: BADHANDLE, 8: BADHANDLE}
    for size in (0, 3, 8, 16, 17, 32, 64):
        r = nfs(GETATTR, opaque(os.urandom(size)))
        st = r.u32()
        assert st in (BADHANDLE, STALE), "%d bytes: %d" % (size, st)
        r.done()
    for i in range(len(root)):
        forged = bytearray(root)
        forged[i] ^= 1
        assert nfs(GETATTR, opaque(bytes(forged))).u32() in (BADHANDLE, STALE), "byte %d" % i


def test_every_procedure_refuses_a_forged_handle():
    bad = opaque(bytes(len(root)))
    name = opaque("x")
    args = {GETATTR: bad, SETATTR: bad + sattr() + u32(0), LOOKUP: bad + name, ACCESS: bad + u32(63), READLINK: bad,
            READ: bad + u64(0) + u32(1), WRITE: bad + u64(0) + u32(1, 0) + opaque("x"),
            CREATE: bad + name + u32(0) + sattr(), MKDIR: bad + name + sattr(), SYMLINK: bad + name + sattr() + name,
            MKNOD: bad + name + u32(FIFO) + sattr(), REMOVE: bad + name, RMDIR: bad + name,
            RENAME: bad + name + bad + name, LINK: bad + bad + name, READDIR: bad + u64(0) + bytes(8) + u32(4096),
            READDIRPLUS: bad + u64(0) + bytes(8) + u32(4096, 4096), FSSTAT: bad, FSINFO: bad, PATHCONF: bad,
            COMMIT: bad + u64(0) + u32(0)}
    assert len(args) == 21
    for proc, body in args.items():
        r = nfs(proc, body)
        assert r.u32() in (BADHANDLE, STALE), proc
        # Nothing follows but "no attributes".
        rest = r.data[r.pos:]
        assert rest == bytes(len(rest)), proc


def test_every_procedure_cut_short_is_garbage():
    fh, name = opaque(root), opaque("x")
    args = {GETATTR: fh, SETATTR: fh + sattr(mode=1, size=2, atime=(1, 2)) + u32(1, 1, 2), LOOKUP: fh + name,
            ACCESS: fh + u32(63), READLINK: fh, READ: fh + u64(0) + u32(1), WRITE: fh + u64(0) + u32(1, 0) + opaque("x"),
            CREATE: fh + name + u32(0) + sattr(mode=1), MKDIR: fh + name + sattr(mode=1),
            SYMLINK: fh + name + sattr() + name, MKNOD: fh + name + u32(CHR) + sattr() + u32(1, 2),
            REMOVE: fh + name, RMDIR: fh + name, RENAME: fh + name + fh + name, LINK: fh + fh + name,
            READDIR: fh + u64(0) + bytes(8) + u32(4096), READDIRPLUS: fh + u64(0) + bytes(8) + u32(4096, 4096),
            FSSTAT: fh, FSINFO: fh, PATHCONF: fh, COMMIT: fh + u64(0) + u32(0)}
    for proc, body in args.items():
        for size in range(0, len(body), 4):
            assert conn.accept_stat(NFS, 3, proc, body[:size])[0] == 4, (proc, size)


def test_lookup():
    d = fresh_dir()
    _, fh, attr, _ = create(d, "f")
    assert lookup(d, "f") == (OK, fh, attr, getattr3(d))
    st, _, _, dir_attr = lookup(d, "g")
    assert st == NOENT and dir_attr == getattr3(d)
    assert lookup(d, ".")[1] == d
    assert lookup(d, "..")[1] == root
    assert lookup(fh, "x")[0] == NOTDIR
    assert lookup(d, "")[0] == ACCES
    assert lookup(d, "n" * 255)[0] == NOENT
    assert lookup(d, "n" * 256)[0] == NAMETOOLONG
    assert lookup(d, "a/b")[0] in (ACCES, INVAL, NOENT)
    assert lookup(d, b"a\0b")[0] in (ACCES, INVAL, NOENT)


def test_dotdot_does_not_leave_the_export():
    assert lookup(root, "..")[1] == root
    entries = {e[1]: e for e in readdirplus(root)[3]}
    assert entries[b".."][4] == root == entries[b"."][4]


def test_lookup_needs_search_permission():
    d = fresh_dir(0o700)
    create(d, "f")
    st, fh, attr, dir_attr = lookup(d, "f", USER)
    assert st == ACCES


def test_access():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f", 0o754, uid=1000, gid=1000)
    for cred, expect in ((USER, 1 | 4 | 8 | 32), (auth_sys(5, 1000), 1 | 32), (OTHER, 1), (ROOT, 1 | 4 | 8 | 32)):
        r = nfs(ACCESS, opaque(fh) + u32(63), cred)
        assert r.u32() == OK and r.post() == getattr3(fh)
        allowed = r.u32()
        r.done()
        assert allowed == expect, (allowed, expect)
    r = nfs(ACCESS, opaque(d) + u32(63), OTHER)
    assert r.u32() == OK and r.post() and r.u32() == 1 | 2 | 4 | 8 | 16
    r = nfs(ACCESS, opaque(fh) + u32(1), USER)
    assert (r.u32(), bool(r.post()), r.u32()) == (OK, True, 1)


def test_setattr():
    d = fresh_dir()
    _, fh, before, _ = create(d, "f")
    st, wcc = setattr3(fh, sattr(mode=0o600, uid=5, gid=6, size=100, atime=(10, 20), mtime=(30, 40)))
    assert st == OK
    pre, post = wcc
    assert pre == dict(size=0, mtime=before["mtime"], ctime=before["ctime"])
    assert (post["mode"], post["uid"], post["gid"], post["size"]) == (0o600, 5, 6, 100)
    assert (post["atime"], post["mtime"]) == ((10, 20), (30, 40))
    assert post == getattr3(fh)
    st, wcc = setattr3(fh, sattr(atime="now", mtime="now"))
    assert st == OK and wcc[1]["mtime"][0] > 1000000 and wcc[1]["atime"][0] > 1000000
    st, wcc = setattr3(fh, sattr())
    assert st == OK and wcc[1]["size"] == 100


def test_setattr_guard():
    _, fh, attr, _ = create(fresh_dir(), "f")
    st, wcc = setattr3(fh, sattr(mode=0o600), guard=(1, 2))
    assert st == NOT_SYNC and wcc[1]["mode"] == 0o644
    assert setattr3(fh, sattr(mode=0o600), guard=attr["ctime"])[0] == OK


def test_setattr_permissions():
    _, fh, _, _ = create(fresh_dir(), "f", uid=1000, gid=1000)
    assert setattr3(fh, sattr(mode=0o600), cred=OTHER)[0] == PERM
    assert setattr3(fh, sattr(uid=1001), cred=USER)[0] == PERM
    assert setattr3(fh, sattr(gid=100), cred=USER)[0] == OK
    assert setattr3(fh, sattr(size=5), cred=OTHER)[0] == ACCES
    assert setattr3(fh, sattr(mode=0), cred=USER)[0] == OK
    assert setattr3(fh, sattr(size=5), cred=USER)[0] == OK, "the owner's open is at the client"
    assert setattr3(root, sattr(size=5))[0] in (ISDIR, INVAL)
    st, wcc = setattr3(fh, sattr(size=1 << 63))
    assert st == FBIG and getattr3(fh)["size"] == 5


def test_readlink_and_symlink():
    d = fresh_dir()
    st, fh, attr, wcc = new_object(SYMLINK, opaque(d) + opaque("l") + sattr(mode=0o777) + opaque("some/../where"))
    assert st == OK and attr["type"] == LNK and attr["size"] == 13
    assert wcc[0] and wcc[1]
    r = nfs(READLINK, opaque(fh))
    assert (r.u32(), r.post()["type"], r.opaque()) == (OK, LNK, b"some/../where")
    r.done()
    r = nfs(READLINK, opaque(d))
    assert r.u32() == INVAL
    r.post()
    r.done()
    assert new_object(SYMLINK, opaque(d) + opaque("l") + sattr() + opaque("x"))[0] == EXIST
    assert new_object(SYMLINK, opaque(d) + opaque("m") + sattr() + opaque("y" * 4096))[0] == OK
    assert new_object(SYMLINK, opaque(d) + opaque("n") + sattr() + opaque("y" * 4097))[0] == NAMETOOLONG
    assert new_object(SYMLINK, opaque(d) + opaque("o") + sattr() + opaque(""))[0] == INVAL


def test_read():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f")
    data = os.urandom(200001)
    assert write(fh, 0, data)[0] == OK
    for offset, count in ((0, 0), (0, 1), (0, 512), (0, 513), (1, 4096), (65535, 2), (65536, 65536), (0, 200001),
                          (7, 1 << 20), (200000, 1), (200000, 10), (200001, 1), (1 << 40, 5)):
        st, attr, got, eof = read(fh, offset, count)
        assert st == OK and got == data[offset:offset + count], (offset, count)
        assert eof == (offset + len(got) >= len(data)), (offset, count, eof)
        assert attr["size"] == len(data)
    assert len(read(fh, 0, 0xFFFFFFFF)[2]) == 200001
    assert read(d, 0, 1)[0] in (ISDIR, INVAL)


def test_read_permission():
    _, fh, _, _ = create(fresh_dir(), "f", 0, uid=1000, gid=1000)
    assert read(fh, 0, 1, USER)[0] == OK, "the owner's open is at the client"
    st, attr, _, _ = read(fh, 0, 1, OTHER)
    assert st == ACCES


def test_write_in_every_stability():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f")
    verfs = set()
    for stable in (0, 1, 2):
        st, wcc, n, committed, verf = write(fh, stable * 10, b"0123456789", stable)
        assert (st, n) == (OK, 10) and committed >= stable
        assert wcc[0]["size"] == stable * 10 and wcc[1]["size"] == stable * 10 + 10
        verfs.add(verf)
    st, wcc, verf = commit(fh)
    assert st == OK and wcc[0] and wcc[1]["size"] == 30
    verfs.add(verf)
    assert len(verfs) == 1
    assert read(fh, 0, 100)[2] == b"0123456789" * 3


def test_write_sizes_and_offsets():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f")
    image = bytearray()
    for offset, size in ((0, 1), (5, 3), (4095, 4097), (65530, 12), (65536, 65536), (131072, 65535), (3, 65536),
                         (100, 70000), (65536, 131072), (0, 1 << 20), (777, 1 << 20), (1 << 20, 333333)):
        data = os.urandom(size)
        st, wcc, n, _, _ = write(fh, offset, data, 0)
        assert (st, n) == (OK, size), (offset, size, st, n)
        if len(image) < offset + size:
            image.extend(bytes(offset + size - len(image)))
        image[offset:offset + size] = data
        assert wcc[1]["size"] == len(image)
    got = b""
    while True:
        st, _, part, eof = read(fh, len(got), 1 << 20)
        got += part
        if eof:
            break
    assert got == bytes(image)


def test_write_errors():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f", 0o600, uid=1000)
    assert write(fh, 0, b"abc", cred=OTHER)[0] == ACCES
    assert write(d, 0, b"abc")[0] in (ISDIR, INVAL)
    st, wcc, _, _, _ = write(fh, (1 << 63) - 1, b"abc")
    assert st == FBIG
    assert write(fh, (1 << 64) - 1, b"abc")[0] in (FBIG, INVAL)
    assert write(fh, 0, b"abc", count=4)[0] == INVAL
    assert write(fh, 0, b"abcdef", count=2)[2] == 2
    assert getattr3(fh)["size"] == 2
    assert write(fh, 9, b"")[0:1] + write(fh, 9, b"")[2:3] == (OK, 0)
    assert getattr3(fh)["size"] == 2
    assert conn.accept_stat(NFS, 3, WRITE, opaque(fh) + u64(0) + u32(1, 3) + opaque("x"))[0] == 4, "stable_how 3"


def test_large_malformed_writes():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f")
    # A payload that claims to be shorter or longer than its record.
    for claim, there in ((100000, 100004), (100000, 99996), (100001, 100000)):
        c = server.conn()
        try:
            c.send_record(c.call_bytes(NFS, 3, WRITE, opaque(fh) + u64(0) + u32(claim, 2, claim) + bytes(there)))
            ended = c.at_end()
        except ConnectionError:
            ended = True
        assert ended
    assert conn.accept_stat(NFS, 3, WRITE, opaque(fh) + u64(0) + u32(9, 2, (1 << 20) + 1) + bytes(9))[0] == 4
    assert getattr3(fh)["size"] == 0


def test_create_unchecked():
    d = fresh_dir()
    before = getattr3(d)
    st, fh, attr, (pre, post) = create(d, "f", 0o4755, uid=7, gid=8)
    assert st == OK and (attr["mode"], attr["uid"], attr["gid"], attr["type"]) == (0o4755, 7, 8, REG)
    assert pre == dict(size=before["size"], mtime=before["mtime"], ctime=before["ctime"]) and post == getattr3(d)
    write(fh, 0, b"data")
    st, again, attr, _ = create(d, "f", 0o644)
    assert (st, again, attr["size"]) == (OK, fh, 4)
    st, again, attr, _ = create(d, "f", 0o644, size=0)
    assert (st, again, attr["size"]) == (OK, fh, 0)


def test_create_guarded_and_errors():
    d = fresh_dir()
    assert create(d, "f", how=1)[0] == OK
    st, _, _, wcc = create(d, "f", how=1)
    assert st == EXIST and wcc[1] == getattr3(d)
    assert create(d, "")[0] == ACCES
    assert create(d, ".")[0] in (EXIST, INVAL, ISDIR)
    assert create(d, "..")[0] in (EXIST, INVAL, ISDIR)
    assert create(d, "n" * 256)[0] == NAMETOOLONG
    assert create(d, "a/b")[0] in (ACCES, INVAL)
    mkdir(d, "d")
    assert create(d, "d")[0] in (EXIST, ISDIR)
    _, fh, _, _ = create(d, "file")
    assert create(fh, "x")[0] == NOTDIR
    closed = fresh_dir(0o755)
    assert create(closed, "x", cred=USER)[0] == ACCES


def test_create_exclusive():
    d = fresh_dir()
    st, fh, attr, _ = create(d, "f", how=2, verf=b"verifier")
    assert st == OK and attr["size"] == 0
    st, again, _, _ = create(d, "f", how=2, verf=b"verifier")
    assert (st, again) == (OK, fh), "the same call again finds its own file"
    assert create(d, "f", how=2, verf=b"another!")[0] == EXIST
    assert setattr3(fh, sattr(mode=0o640))[0] == OK
    create(d, "g")
    assert create(d, "g", how=2, verf=bytes(8))[0] == EXIST


def test_mkdir():
    d = fresh_dir()
    links = getattr3(d)["nlink"]
    st, fh, attr, (pre, post) = mkdir(d, "x", 0o750, USER)
    assert st == OK and (attr["type"], attr["mode"], attr["nlink"], attr["uid"]) == (DIR, 0o750, 2, 1000)
    assert pre and post["nlink"] == links + 1
    assert mkdir(d, "x")[0] == EXIST
    assert mkdir(d, ".")[0] in (EXIST, INVAL)
    assert mkdir(fh, "y", cred=OTHER)[0] == ACCES


def test_mknod():
    d = fresh_dir()
    head = opaque(d)
    for name, kind in (("c", CHR), ("b", BLK)):
        st, fh, attr, wcc = new_object(MKNOD, head + opaque(name) + u32(kind) + sattr(mode=0o600) + u32(10, 20))
        assert st == OK and (attr["type"], attr["rdev"], attr["mode"]) == (kind, (10, 20), 0o600)
    for name, kind in (("s", SOCK), ("p", FIFO)):
        st, fh, attr, wcc = new_object(MKNOD, head + opaque(name) + u32(kind) + sattr(mode=0o600))
        assert st == OK and attr["type"] == kind and wcc[1]
    for kind in (REG, DIR, LNK, 0, 8, 999):
        assert new_object(MKNOD, head + opaque("z") + u32(kind))[0] == BADTYPE
    assert new_object(MKNOD, head + opaque("p") + u32(FIFO) + sattr())[0] == EXIST
    assert new_object(MKNOD, head + opaque("q") + u32(CHR) + sattr() + u32(1, 2), USER)[0] in (PERM, ACCES)


def test_remove():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f")
    mkdir(d, "d")
    st, (pre, post) = remove(d, "f")
    assert st == OK and pre and post == getattr3(d)
    assert nfs(GETATTR, opaque(fh)).u32() == STALE
    st, (pre, post) = remove(d, "f")
    assert st == NOENT and post == getattr3(d)
    assert remove(d, "d")[0] in (ISDIR, PERM)
    assert remove(d, "..")[0] in (INVAL, EXIST, NOTEMPTY, ISDIR)
    sticky = fresh_dir(0o1777)
    create(sticky, "mine", uid=1000)
    assert remove(sticky, "mine", OTHER)[0] in (PERM, ACCES)
    assert remove(sticky, "mine", USER)[0] == OK


def test_rmdir():
    d = fresh_dir()
    _, sub, _, _ = mkdir(d, "d")
    create(sub, "f")
    create(d, "f")
    assert remove(d, "d", proc=RMDIR)[0] == NOTEMPTY
    assert remove(d, "f", proc=RMDIR)[0] == NOTDIR
    assert remove(d, ".", proc=RMDIR)[0] == INVAL
    assert remove(d, "..", proc=RMDIR)[0] in (EXIST, INVAL, NOTEMPTY)
    remove(sub, "f")
    st, (pre, post) = remove(d, "d", proc=RMDIR)
    assert st == OK and post["nlink"] == 2


def rename(from_dir, name, to_dir, to_name, cred=ROOT):
    r = nfs(RENAME, opaque(from_dir) + opaque(name) + opaque(to_dir) + opaque(to_name), cred)
    result = r.u32(), r.wcc(), r.wcc()
    r.done()
    return result


def test_rename():
    a, b = fresh_dir(), fresh_dir()
    _, fh, _, _ = create(a, "f")
    st, wcc_a, wcc_b = rename(a, "f", b, "g")
    assert st == OK and wcc_a[0] and wcc_b[0]
    assert wcc_a[1] == getattr3(a) and wcc_b[1] == getattr3(b)
    assert lookup(b, "g")[1] == fh and lookup(a, "f")[0] == NOENT
    create(b, "h")
    assert rename(b, "h", b, "g")[0] == OK
    assert nfs(GETATTR, opaque(fh)).u32() == STALE, "what was replaced is gone"
    _, sub, _, _ = mkdir(a, "sub")
    assert rename(a, "sub", sub, "in-itself")[0] == INVAL
    assert rename(b, "g", a, "sub")[0] in (EXIST, ISDIR)
    assert rename(a, "sub", b, "g")[0] in (EXIST, NOTDIR)
    assert rename(a, "nothing", b, "x")[0] == NOENT
    assert rename(a, ".", b, "x")[0] in (INVAL, EXIST, NOTEMPTY)
    assert rename(a, "sub", b, "")[0] == ACCES
    mkdir(b, "full")
    create(lookup(b, "full")[1], "f")
    assert rename(a, "sub", b, "full")[0] in (EXIST, NOTEMPTY)


def test_link():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f")

    def link(file, dir, name):
        r = nfs(LINK, opaque(file) + opaque(dir) + opaque(name))
        result = r.u32(), r.post(), r.wcc()
        r.done()
        return result

    st, attr, wcc = link(fh, d, "g")
    assert st == OK and attr["nlink"] == 2 and attr == getattr3(fh) and wcc[1] == getattr3(d)
    assert lookup(d, "g")[1] == fh
    assert link(fh, d, "g")[0] == EXIST
    assert link(d, d, "h")[0] in (ISDIR, PERM, INVAL)
    assert link(fh, fh, "h")[0] == NOTDIR


def test_readdir():
    d = fresh_dir()
    names = {b"file-%03d" % i: create(d, "file-%03d" % i)[2]["fileid"] for i in range(300)}
    seen, cookie, verf, rounds = {}, 0, bytes(8), 0
    while True:
        st, attr, verf, entries, eof = readdir(d, cookie, verf, 1024)
        assert st == OK and entries and same(attr, getattr3(d))
        for fileid, name, cookie in entries:
            assert name not in seen
            seen[name] = fileid
        rounds += 1
        if eof:
            break
    assert rounds > 10
    assert seen.pop(b".") == getattr3(d)["fileid"] and seen.pop(b"..") == getattr3(root)["fileid"]
    assert seen == names


def test_readdirplus():
    d = fresh_dir()
    made = {b"file-%03d" % i: create(d, "file-%03d" % i) for i in range(300)}
    seen, cookie, verf = {}, 0, bytes(8)
    while True:
        st, attr, verf, entries, eof = readdirplus(d, cookie, verf, 1024, 8192)
        assert st == OK and entries
        for fileid, name, cookie, a, fh in entries:
            assert name not in seen
            seen[name] = (fh, a)
        if eof:
            break
    for name, fh in ((b".", d), (b"..", root)):
        got, attr = seen.pop(name)
        assert got == fh and same(attr, getattr3(fh)), name
    assert {n: v[0] for n, v in seen.items()} == {n: v[1] for n, v in made.items()}
    assert all(v[1] == made[n][2] for n, v in seen.items())


def test_readdir_limits_and_errors():
    d = fresh_dir()
    _, fh, _, _ = create(d, "f" * 255)
    assert readdir(fh)[0] == NOTDIR
    assert readdirplus(fh)[0] == NOTDIR
    assert readdir(d, count=0)[0] == TOOSMALL
    assert readdirplus(d, maxcount=100)[0] == TOOSMALL
    st, _, verf, entries, eof = readdir(d, count=0xFFFFFFFF)
    assert st == OK and eof and len(entries) == 3
    st, _, _, entries, eof = readdir(d, entries[-1][2], verf)
    assert (st, entries, eof) == (OK, [], True)
    st, _, _, _, _ = readdir(d, 1 << 63, verf)
    assert st in (OK, BAD_COOKIE)
    closed = fresh_dir(0o711)
    assert readdir(closed, cred=USER)[0] == ACCES


def test_readdir_while_entries_go():
    d = fresh_dir()
    for i in range(100):
        create(d, "f%d" % i)
    seen, cookie, verf = [], 0, bytes(8)
    while True:
        st, _, verf, entries, eof = readdir(d, cookie, verf, 600)
        assert st == OK
        for _, name, cookie in entries:
            seen.append(name)
            if name not in (b".", b".."):
                assert remove(d, name)[0] == OK
        if eof:
            break
    assert len(seen) == len(set(seen)) == 102
    assert len(readdir(d)[3]) == 2


def test_fsstat_fsinfo_pathconf():
    r = nfs(FSSTAT, opaque(root))
    assert r.u32() == OK and r.post()
    total, free, avail = r.u64(), r.u64(), r.u64()
    assert total >= free >= avail
    r.u64(), r.u64(), r.u64(), r.u32()
    r.done()
    r = nfs(FSINFO, opaque(root))
    assert r.u32() == OK and r.post()
    values = [r.u32() for _ in range(7)]
    assert values[0] == values[3] == 1 << 20 and values[6] >= 4096
    assert r.u64() >= 1 << 40
    r.time()
    assert r.u32() == 0x1B
    r.done()
    r = nfs(PATHCONF, opaque(root))
    assert r.u32() == OK and r.post()
    assert r.u32() >= 2 and r.u32() == 255
    assert [r.bool() for _ in range(4)] == [True, True, False, True]
    r.done()


def test_a_retransmission_is_answered_not_repeated():
    d = fresh_dir()
    create(d, "f")
    for proc, args in ((REMOVE, opaque(d) + opaque("f")), (MKDIR, opaque(d) + opaque("x") + sattr(mode=0o755)),
                       (CREATE, opaque(d) + opaque("y") + u32(1) + sattr(mode=0o644)),
                       (RENAME, opaque(d) + opaque("x") + opaque(d) + opaque("z")),
                       (RMDIR, opaque(d) + opaque("z"))):
        replies = [conn.nfs(proc, args, xid=0x12340000 + proc).data for _ in range(2)]
        assert replies[0] == replies[1], proc
        assert Reader(replies[0][24:]).u32() == OK
        assert Reader(conn.nfs(proc, args).data[24:]).u32() in (NOENT, EXIST), "another xid is another call"


def test_everything_over_udp():
    c = server.conn(udp=True)
    _, fh, _, _ = create(fresh_dir(), "f")
    data = os.urandom(100000)
    write(fh, 0, data)
    r = c.nfs(READ, opaque(fh) + u64(0) + u32(100000))
    assert r.u32() == OK and r.post()
    n, eof, got = r.u32(), r.bool(), r.opaque()
    assert n == 32768 and not eof and got == data[:n]
    r = c.nfs(FSINFO, opaque(root))
    assert r.u32() == OK and r.post() and r.u32() == 32768
    r = c.nfs(WRITE, opaque(fh) + u64(5) + u32(30000, 2) + opaque(data[:30000]))
    assert r.u32() == OK
    r.wcc()
    assert r.u32() == 30000
    c.close()


with server:
    run(dict(globals()))
