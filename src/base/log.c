/*
 * A line is built in one shared buffer under the log's lock and written with one call, so that lines
 * of different threads never mix. Control characters are escaped: what a peer sent can't forge a line.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define WINDOW_NS 1000000000ULL
#define WINDOW_LINES 200
#define MESSAGE_MAX 1024

static const char *const level_names[] = {"error", "warn", "notice", "info", "debug", "trace"};
/* The priorities of syslog(3), as the journal reads them. */
static const int journal_priority[] = {3, 4, 5, 6, 7, 7};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_module *modules; /* pushed by constructors and dlopen; guarded by lock */
static uint64_t lines_by_level[ARRAY_SIZE(level_names)];

static struct {
	const char *program;
	FILE *to;
	enum log_format format;
	log_clock *clock;
	struct bytes line;
} state = {.program = "chimera"}; /* guarded by lock */

static uint64_t system_clock(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static uint64_t now(void)
{
	return state.clock ? state.clock() : system_clock();
}

void log_register(struct log_module *m)
{
	pthread_mutex_lock(&lock);
	m->next = modules;
	modules = m;
	pthread_mutex_unlock(&lock);
}

void log_open(const char *program, FILE *to, enum log_format format)
{
	pthread_mutex_lock(&lock);
	state.program = program;
	state.to = to;
	state.format = format;
	pthread_mutex_unlock(&lock);
}

void log_set_clock(log_clock *clock)
{
	pthread_mutex_lock(&lock);
	state.clock = clock;
	pthread_mutex_unlock(&lock);
}

static void put_printable(struct bytes *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			bytes_printf(out, "\\x%02x", (unsigned char)*p);
		else
			bytes_putc(out, *p);
	}
}

static void format_text(const struct log_module *m, enum log_level level, uint64_t ns, const char *text)
{
	char stamp[STR_TIME_SIZE];
	str_format_time(stamp, sizeof(stamp), ns, 6);
	bytes_printf(&state.line, "%s %s %s[%s] ", stamp, state.program, level_names[level], m->name);
	put_printable(&state.line, text);
}

static void format_json(const struct log_module *m, enum log_level level, uint64_t ns, const char *text)
{
	struct json j;
	json_init(&j, &state.line);
	json_object(&j, NULL);
	json_time(&j, "time", ns);
	json_str(&j, "program", state.program);
	json_str(&j, "level", level_names[level]);
	json_str(&j, "module", m->name);
	json_str(&j, "message", text);
	json_end(&j);
}

static void emit(const struct log_module *m, enum log_level level, uint64_t ns, const char *text)
{
	bytes_clear(&state.line);
	switch (state.format) {
	case LOG_FORMAT_JSON:
		format_json(m, level, ns, text);
		break;
	case LOG_FORMAT_JOURNAL:
		bytes_printf(&state.line, "<%d>%s: ", journal_priority[level], m->name);
		put_printable(&state.line, text);
		break;
	case LOG_FORMAT_TEXT:
		format_text(m, level, ns, text);
		break;
	}
	bytes_putc(&state.line, '\n');
	if (bytes_failed(&state.line))
		return;
	FILE *to = state.to ? state.to : stderr;
	fwrite(state.line.data, 1, state.line.size, to);
	fflush(to);
	lines_by_level[level]++;
}

/* Debug and trace lines were asked for by a person; everything else is limited. */
static bool over_rate(struct log_module *m, enum log_level level, uint64_t ns)
{
	if (level >= LOG_DEBUG)
		return false;
	if (ns - m->window_start >= WINDOW_NS) {
		char text[64];
		uint32_t n = m->suppressed;
		m->window_start = ns;
		m->window_lines = 0;
		m->suppressed = 0;
		snprintf(text, sizeof(text), "%u lines suppressed", n);
		if (n)
			emit(m, LOG_WARN, ns, text);
	}
	if (m->window_lines++ < WINDOW_LINES)
		return false;
	m->suppressed++;
	return true;
}

void log_write(struct log_module *m, enum log_level level, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	uint64_t ns = now();
	if (!over_rate(m, level, ns))
		emit(m, level, ns, text);
	pthread_mutex_unlock(&lock);
}

int log_set_level(const char *module, enum log_level level)
{
	bool all = !module || strcmp(module, "*") == 0, found = all;
	pthread_mutex_lock(&lock);
	for (struct log_module *m = modules; m; m = m->next) {
		if (!all && strcmp(m->name, module) != 0)
			continue;
		__atomic_store_n(&m->level, (int)level, __ATOMIC_RELAXED);
		found = true;
	}
	pthread_mutex_unlock(&lock);
	return found ? 0 : ERR_NOENT;
}

int log_level_parse(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcasecmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return ERR_INVAL;
}

const char *log_level_name(enum log_level level)
{
	return (size_t)level < ARRAY_SIZE(level_names) ? level_names[level] : "unknown";
}

const struct log_module *log_modules(void)
{
	return modules;
}

uint64_t log_lines(enum log_level level)
{
	pthread_mutex_lock(&lock);
	uint64_t n = lines_by_level[level];
	pthread_mutex_unlock(&lock);
	return n;
}
