/*
 * Scope clean-up: a variable declared with one of these attributes is released when it goes out of
 * scope. Use TAKE() (base/compiler.h) to hand the object on instead.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_fn(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd_fn(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file_fn(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(cleanup_free_fn)
#define CLEANUP_FD CLEANUP(cleanup_fd_fn)
#define CLEANUP_FILE CLEANUP(cleanup_file_fn)

#endif
