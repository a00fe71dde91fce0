/*
 * What a daemon gives up once it is set up, so that whoever takes it over gets little: system calls that no
 * file server makes (seccomp), and files it has no business with (Landlock). Kernels that lack either, or
 * containers that forbid it, are no error: what can be had is had.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/compiler.h"

/*
 * sandbox_files() - from now on this thread, and those it starts, reach no files but those beneath the
 * paths, which are NULL-terminated lists; a path that does not exist is passed over. What is open stays open, and Unix
 * sockets can be connected to. Call it before threads are started. false: the kernel can't.
 */
bool sandbox_files(const char *const *read_write, const char *const *read_only);

/*
 * sandbox_calls() - from now on all threads get EPERM from starting programs, tracing, mounting, loading
 * modules and the like. Privileges can't be gained any more. false: the kernel can't.
 */
bool sandbox_calls(void);

#endif
