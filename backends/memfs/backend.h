/* The memfs backend as the table of built-in backends knows it. */
#ifndef MEMFS_BACKEND_H
#define MEMFS_BACKEND_H

#include "vfs/backend.h"

extern const struct backend_ops memfs_backend;

#endif
