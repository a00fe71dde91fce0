/* The linux backend as the table of built-in backends knows it. */
#ifndef LINUX_BACKEND_H
#define LINUX_BACKEND_H

#include "vfs/backend.h"

extern const struct backend_ops linux_backend;

#endif
