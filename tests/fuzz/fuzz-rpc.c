/* A connection's bytes as they come: record marks, fragments, call headers, credentials, whatever follows. */
#include "tests/fuzz/nfs-rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	rig_exchange(data, size);
	return 0;
}
