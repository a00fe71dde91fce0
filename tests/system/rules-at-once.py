#!/usr/bin/env python3
"""Shows that what chimeractl says of an export holds for the first call after it returned: on living connections, in every direction."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["TOP"], "tests/protocol"))
from nfslib import *

NFS_PORT, MOUNT_PORT, EXPORT, ROUNDS = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
OPEN = "127.0.0.1:rw,insecure,no_root_squash"
FORBIDDEN = "*:rw"


def chimeractl(*args):
    subprocess.run(["chimeractl", "export", *args], check=True)


def rule(text):
    chimeractl("set", EXPORT, "--client", text)


def make(conn, dir, name):
    r = conn.nfs(CREATE, opaque(dir) + opaque(name) + u32(0) + sattr(mode=0o644))
    status = r.u32()
    if status:
        return status, None
    r.post_fh()
    return status, r.post()["uid"]


def look(conn, dir):
    return conn.nfs(GETATTR, opaque(dir)).u32()


def mount(conn):
    r = conn.call(MOUNT, 3, 1, opaque(EXPORT))
    return r.u32(), r


mounter = Conn(MOUNT_PORT)
rule(OPEN)
status, reply = mount(mounter)
assert status == OK
root = reply.opaque()
# One thread of the daemon each, or nearly so, and one by UDP.
conns = [Conn(NFS_PORT) for _ in range(6)] + [Conn(NFS_PORT, udp=True)]
for i in range(ROUNDS):
    conn = conns[i % len(conns)]
    rule("127.0.0.1:ro,insecure")
    assert make(conn, root, "a")[0] == ROFS, "read only, round %d" % i
    rule(OPEN)
    assert make(conn, root, "b") == (OK, 0), "writable, round %d" % i
    rule("127.0.0.1:rw,insecure,all_squash,anonuid=%d" % (1000 + i))
    assert make(conn, root, "c%d" % i) in ((ACCES, None), (OK, 1000 + i)), "squashed, round %d" % i
    rule(FORBIDDEN)
    assert look(conn, root) == ACCES, "refused, round %d" % i
    assert mount(mounter)[0] == ACCES
    rule(OPEN)
    assert look(conn, root) == OK, "let in, round %d" % i
    assert mount(mounter)[0] == OK
chimeractl("delete", EXPORT)
for conn in conns:
    assert look(conn, root) == STALE, "gone"
