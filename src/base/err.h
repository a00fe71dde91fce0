/*
 * One error space for the whole server: 0 is success, a failure is a negative enum chimera_err.
 * Backends convert errno with err_from_errno(); each protocol converts to its own status codes in
 * one table. Values are part of the ring's ABI: append only.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>

/* ERR(name, number, errno or 0, text for people) */
#define ERR_TABLE(ERR)                                                              \
	ERR(PERM, 1, EPERM, "operation not permitted")                              \
	ERR(NOENT, 2, ENOENT, "no such file or directory")                          \
	ERR(IO, 3, EIO, "input/output error")                                       \
	ERR(NXIO, 4, ENXIO, "no such device, address or offset")                    \
	ERR(ACCES, 5, EACCES, "permission denied")                                  \
	ERR(EXIST, 6, EEXIST, "file exists")                                        \
	ERR(XDEV, 7, EXDEV, "not on the same mount")                                \
	ERR(NODEV, 8, ENODEV, "no such device")                                     \
	ERR(NOTDIR, 9, ENOTDIR, "not a directory")                                  \
	ERR(ISDIR, 10, EISDIR, "is a directory")                                    \
	ERR(INVAL, 11, EINVAL, "invalid argument")                                  \
	ERR(FBIG, 12, EFBIG, "file too large")                                      \
	ERR(NOSPC, 13, ENOSPC, "no space left on the store")                        \
	ERR(ROFS, 14, EROFS, "read-only")                                           \
	ERR(MLINK, 15, EMLINK, "too many links")                                    \
	ERR(NAMETOOLONG, 16, ENAMETOOLONG, "name too long")                         \
	ERR(NOTEMPTY, 17, ENOTEMPTY, "directory not empty")                         \
	ERR(DQUOT, 18, EDQUOT, "quota exceeded")                                    \
	ERR(STALE, 19, ESTALE, "stale handle")                                      \
	ERR(BADHANDLE, 20, EBADF, "malformed or forged handle")                     \
	ERR(NOT_SYNC, 21, 0, "guard does not match")                                \
	ERR(BAD_COOKIE, 22, 0, "directory cookie is not valid")                     \
	ERR(NOTSUPP, 23, EOPNOTSUPP, "not supported")                               \
	ERR(TOOSMALL, 24, 0, "buffer too small")                                    \
	ERR(BADTYPE, 25, 0, "type not supported")                                   \
	ERR(SERVERFAULT, 26, 0, "internal error")                                   \
	ERR(DELAY, 27, 0, "busy for a while, try again")                            \
	ERR(DENIED, 28, 0, "lock is held by another owner")                         \
	ERR(SHARE, 29, 0, "conflicts with a share reservation")                     \
	ERR(DEADLOCK, 30, EDEADLK, "would deadlock")                                \
	ERR(RANGE, 31, ERANGE, "result does not fit")                               \
	ERR(NODATA, 32, ENODATA, "no such attribute")                               \
	ERR(AGAIN, 33, EAGAIN, "try again")                                         \
	ERR(NOMEM, 34, ENOMEM, "out of memory")                                     \
	ERR(BUSY, 35, EBUSY, "busy")                                                \
	ERR(CANCELED, 36, ECANCELED, "canceled")                                    \
	ERR(TIMEDOUT, 37, ETIMEDOUT, "timed out")                                   \
	ERR(DISCONNECTED, 38, ECONNRESET, "peer is gone")                           \
	ERR(PROTO, 39, EPROTO, "malformed message")                                 \
	ERR(LOOP, 40, ELOOP, "too many symbolic links")                             \
	ERR(BADNAME, 41, 0, "name has characters that cannot be stored")            \
	ERR(TXTBSY, 42, ETXTBSY, "text file busy")                                  \
	ERR(OVERFLOW, 43, EOVERFLOW, "value too large")                             \
	ERR(EXPIRED, 44, 0, "expired")                                              \
	ERR(INTR, 45, EINTR, "interrupted")                                         \
	ERR(ADDRINUSE, 46, EADDRINUSE, "address in use")                            \
	ERR(CONNREFUSED, 47, ECONNREFUSED, "connection refused")                    \
	ERR(EOF, 48, 0, "end of input")

enum chimera_err {
#define ERR(name, number, sys, text) ERR_##name = -(number),
	ERR_TABLE(ERR)
#undef ERR
};

/* err_name() - "NOENT" for ERR_NOENT, "OK" for 0, "UNKNOWN" otherwise. Static storage. */
const char *err_name(int err);

/* err_text() - the sentence for people. Static storage, never NULL. */
const char *err_text(int err);

/* err_from_errno() - the negative enum chimera_err for a positive errno; ERR_IO if there is none. */
int err_from_errno(int sys);

/* err_to_errno() - the positive errno for a negative enum chimera_err; EIO if there is none. */
int err_to_errno(int err);

#endif
