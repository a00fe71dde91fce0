/* The backends that are linked in. */
#ifndef BACKENDS_BUILTIN_H
#define BACKENDS_BUILTIN_H

/* backends_register() - makes them known to the VFS; before the first mount. A second call does nothing. */
void backends_register(void);

#endif
