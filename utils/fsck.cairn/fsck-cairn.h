/* fsck.cairn: what its files share. */
#ifndef UTILS_FSCK_CAIRN_H
#define UTILS_FSCK_CAIRN_H

#include "backends/cairn/cairn-check.h"

/* Exit codes: those of fsck(8). */
enum { EXIT_CLEAN = 0, EXIT_REPAIRED = 1, EXIT_LEFT = 4, EXIT_OPERATION = 8, EXIT_USAGE = 16 };

/* -- report.c -- */
/* report_text() - a line for each finding, and what it comes to. report_json() - one object, documented in fsck.cairn(8). */
void report_text(const struct check_options *o, const struct check_report *r);
void report_json(const struct check_options *o, const struct check_report *r, int status);

/* -- progress.c -- */
/* progress_show() - for check_options.progress: a line on the standard error, some times a second, that overwrites itself. */
void progress_show(void *arg, const char *phase, uint64_t done, uint64_t total);
void progress_end(void);

#endif
