/*
 * Logging: one line per event, with a level per module that can be changed at run time.
 * Thread-safe. Never fails, never parks; a module that floods is rate-limited and the number of
 * lines suppressed is reported. An error is logged once, where the object's name is known.
 *
 * Each .c file that logs says `LOG_MODULE("ring");` once at file scope.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdio.h>

#include "base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTICE, LOG_INFO, LOG_DEBUG, LOG_TRACE };

struct log_module {
	const char *name;
	int level;              /* enum log_level; read without a lock */
	uint64_t window_start;  /* rate limit, guarded by the log's lock */
	uint32_t window_lines;
	uint32_t suppressed;
	struct log_module *next;
};

#define LOG_MODULE(text)                                                           \
	static struct log_module log_this_module = {.name = text, .level = LOG_NOTICE}; \
	__attribute__((constructor)) static void log_register_this(void)           \
	{                                                                          \
		log_register(&log_this_module);                                    \
	}                                                                          \
	struct log_module

#define LOG_AT(lvl, ...)                                                           \
	do {                                                                       \
		if (unlikely((lvl) <= log_this_module.level))                      \
			log_write(&log_this_module, (lvl), __VA_ARGS__);           \
	} while (0)

#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_notice(...) LOG_AT(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) LOG_AT(LOG_TRACE, __VA_ARGS__)

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

void log_register(struct log_module *m);
void log_write(struct log_module *m, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* log_open() - sets the program's name, the stream (default stderr) and the format. */
void log_open(const char *program, FILE *to, enum log_format format);

/* log_set_level() - sets one module's level, or all with module NULL or "*". ERR_NOENT: no such module. */
int log_set_level(const char *module, enum log_level level);

/* log_level_parse() - "error" .. "trace" to a level; ERR_INVAL otherwise. */
int log_level_parse(const char *text, enum log_level *level);
const char *log_level_name(enum log_level level);

/*
 * log_set_clock() - where the stamps come from: nanoseconds since 1970. NULL: the system's clock, as at
 * the start. The simulation sets its own. Called under the log's lock: it must not log.
 */
typedef uint64_t log_clock(void);
void log_set_clock(log_clock *clock);

/* log_lines() - how many lines of that level were written so far: tests check that no warning was. */
uint64_t log_lines(enum log_level level);

/* log_modules() - the first registered module, for listing; follow ->next. */
const struct log_module *log_modules(void);

#endif
