/* The null backend as the table of built-in backends knows it. */
#ifndef NULL_BACKEND_H
#define NULL_BACKEND_H

#include "vfs/backend.h"

extern const struct backend_ops null_backend;

#endif
