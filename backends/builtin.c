/* The table of built-in backends: a new one adds its row. */
#include "backends/builtin.h"

#include "backends/cairn/backend.h"
#include "backends/fault/backend.h"
#include "backends/linux/backend.h"
#include "backends/memfs/backend.h"
#include "backends/null/backend.h"

static const struct backend_ops *const builtin[] = {
	&memfs_backend,
	&linux_backend,
	&cairn_backend,
	&null_backend,
	&fault_backend,
};

void backends_register(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(builtin); i++)
		backend_register(builtin[i]);
}
