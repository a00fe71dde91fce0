/* The cairn backend as the table of built-in backends knows it. */
#ifndef CAIRN_BACKEND_H
#define CAIRN_BACKEND_H

#include "vfs/backend.h"

extern const struct backend_ops cairn_backend;

#endif
