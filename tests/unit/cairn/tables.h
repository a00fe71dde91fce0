/* Sums over the tables of a store that nobody has open. */
#ifndef TESTS_UNIT_CAIRN_TABLES_H
#define TESTS_UNIT_CAIRN_TABLES_H

#include "base/compiler.h"

/* tables_agree() - whether extents, space, inodes and counters tell the same; what differs goes to stderr. */
bool tables_agree(const char *dir);
/* tables_n_old() - records that only snapshots need. UINT64_MAX: they do not agree. */
uint64_t tables_n_old(const char *dir);

#endif
