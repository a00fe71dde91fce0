/* What the fake client library counts, for leak checks. */
#ifndef TEST_FAKE_CLIENT_H
#define TEST_FAKE_CLIENT_H

#include "client/client.h"

struct fake_counts {
	int n_bufs;
	int n_ops;
};

extern struct fake_counts fake_counts;

#endif
