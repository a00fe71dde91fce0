/*
 * Small macros that every file may use: sizes, rounding, containers, branch hints.
 * Nothing here allocates, logs or fails.
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })

/* ALIGN_UP(n, a), ALIGN_DOWN(n, a): a is a power of two. */
#define ALIGN_UP(n, a) (((n) + (a)-1) & ~((__typeof__(n))(a)-1))
#define ALIGN_DOWN(n, a) ((n) & ~((__typeof__(n))(a)-1))

#define CACHE_LINE 64

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK __attribute__((warn_unused_result))

/* TAKE(p): the value of the owning pointer p, leaving NULL behind: ownership moves. */
#define TAKE(p) ({ __typeof__(p) t_ = (p); (p) = NULL; t_; })

/* TAKE_FD(fd): the same for a descriptor, leaving -1. */
#define TAKE_FD(fd) ({ int t_ = (fd); (fd) = -1; t_; })

#endif
