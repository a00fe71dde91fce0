#!/usr/bin/env python3
"""Every answer that RPC itself can give, over TCP and UDP, and what a broken or greedy peer gets."""

import socket
import time

from nfslib import *

server = Server()


def both():
    for udp in (False, True):
        c = server.conn(udp=udp)
        yield c
        c.close()


def test_null_is_answered_to_anyone():
    for c in both():
        for cred in (NO_AUTH, ROOT, u32(99) + opaque(b"whoever")):
            c.call(NFS, 3, NULL, cred=cred).done()


def test_unknown_program_version_procedure():
    for c in both():
        assert c.accept_stat(4711, 1, 0)[0] == 1
        stat, r = c.accept_stat(NFS, 2, 0)
        assert (stat, r.u32(), r.u32()) == (2, 3, 3)
        stat, r = c.accept_stat(MOUNT, 7, 0)
        assert (stat, r.u32(), r.u32()) == (2, 1, 3)
        assert c.accept_stat(NFS, 3, 22)[0] == 3
        assert c.accept_stat(NFS, 3, 0xFFFFFFFF)[0] == 3


def test_wrong_rpc_version():
    for c in both():
        stat, r = c.denied(NFS, 3, 0, rpcvers=3)
        assert (stat, r.u32(), r.u32()) == (0, 2, 2)


def test_garbage_arguments():
    for c in both():
        for args in (b"", u32(65), u32(0xFFFFFFFF), u32(64) + bytes(63)):
            assert c.accept_stat(NFS, 3, GETATTR, args)[0] == 4
        assert c.accept_stat(NFS, 3, SETATTR, opaque(bytes(32)) + u32(2))[0] == 4, "a bool that is 2"


def test_bad_credentials():
    for c in both():
        for cred, stat in ((u32(AUTH_SYS) + opaque(bytes(10)), 1), (u32(AUTH_SYS) + opaque(b""), 1),
                           (u32(2) + opaque(b""), 2), (u32(7) + opaque(b""), 2),
                           (auth_sys(gids=range(17)), 1)):
            denied, r = c.denied(NFS, 3, GETATTR, opaque(bytes(32)), cred=cred)
            assert (denied, r.u32()) == (1, stat)


def test_credential_body_over_400_bytes_is_not_a_call():
    c = server.conn()
    c.send_record(u32(1, 0, 2, NFS, 3, 0, AUTH_SYS) + opaque(bytes(401)) + NO_AUTH)
    c.call(NFS, 3, NULL)


def test_replies_and_noise_are_ignored():
    for c in both():
        c.send_record(u32(5, 1, 0, 0, 0, 0))
        c.send_record(b"noise")
        c.send_record(b"")
        c.call(NFS, 3, NULL)


def test_split_at_every_byte():
    c = server.conn()
    record = c.call_bytes(NFS, 3, GETATTR, opaque(bytes(7)))
    data = u32(0x80000000 | len(record)) + record
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(1, len(data)):
        c.send_raw(data[:at])
        time.sleep(0.0005)
        c.send_raw(data[at:])
        c.recv_record()


def test_fragments_of_every_size():
    c = server.conn()
    for size in range(1, 60):
        record = c.call_bytes(NFS, 3, GETATTR, opaque(bytes(7)))
        data = b""
        for at in range(0, len(record), size):
            part = record[at:at + size]
            data += u32(len(part) | (0x80000000 if at + size >= len(record) else 0)) + part
        c.send_raw(data)
        assert c.recv_record()[:4] == record[:4]


def test_many_calls_in_one_segment():
    c = server.conn()
    records = [c.call_bytes(NFS, 3, NULL) for _ in range(3000)]
    c.send_raw(b"".join(u32(0x80000000 | len(r)) + r for r in records))
    seen = {c.recv_record()[:4] for _ in records}
    assert seen == {r[:4] for r in records}


def test_record_over_the_limit_ends_the_connection():
    for mark in (0xFFFFFFFF, 0x80000000 | (1 << 21), 1 << 21, 0):
        c = server.conn()
        c.send_raw(u32(mark))
        assert c.at_end()


def test_fragments_over_the_limit_end_the_connection():
    c = server.conn()
    try:
        for _ in range(40):
            c.send_raw(u32(65536) + bytes(65536))
    except ConnectionError:
        pass
    assert c.at_end()


def test_large_record_for_nobody_is_answered():
    c = server.conn()
    assert c.accept_stat(4711, 1, 0, bytes(500000))[0] == 1


def test_a_caller_that_leaves_costs_nothing():
    for _ in range(50):
        c = server.conn()
        record = c.call_bytes(NFS, 3, NULL)
        c.send_raw(u32(0x80000000 | len(record)) + record[:20])
        c.close()
    server.conn().call(NFS, 3, NULL)


def test_half_closed_connection_still_gets_its_reply():
    c = server.conn()
    record = c.call_bytes(NFS, 3, NULL)
    c.send_record(record)
    c.sock.shutdown(socket.SHUT_WR)
    assert c.recv_record()[:4] == record[:4]
    assert c.at_end()


with server:
    run(dict(globals()))
