/*
 * The fault backend as the table of built-in backends knows it, and its rules, which can be changed while the
 * mount is in use.
 */
#ifndef FAULT_BACKEND_H
#define FAULT_BACKEND_H

#include "vfs/backend.h"

extern const struct backend_ops fault_backend;

/*
 * fault_set_rules() - replaces the rules of a mount of this backend. text: rules separated by ';' or blanks, each as in
 * chimera-fault(7); "" removes all. *why: a sentence on ERR_INVAL, malloc'ed. Any thread.
 */
int fault_set_rules(struct vfs_mount *m, const char *text, char **why);

#endif
