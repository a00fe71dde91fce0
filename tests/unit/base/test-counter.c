/* Shows that counters sum over threads, ended ones included, and that histograms bound quantiles. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "base/counter.h"
#include "base/err.h"

static const char *const names[] = {"calls", "errors"};
static struct counter_table sums = {"test", COUNTER_SUM, names, 2};
static struct counter_table times = {"test_ns", COUNTER_HISTOGRAM, names, 2};

static void *count(void *arg)
{
	for (int i = 0; i < 10000; i++)
		counter_add(&sums, 1, 1);
	return NULL;
}

Test(counter, sums_over_threads)
{
	pthread_t threads[4];
	cr_assert_eq(counter_register(&sums), 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	count(NULL);
	cr_assert_eq(counter_read(&sums, 1), 50000);
	cr_assert_eq(counter_read(&sums, 0), 0);
	cr_assert_eq(counter_tables(), &sums);
}

Test(counter, histogram)
{
	struct histogram h;
	counter_record(&times, 0, 5);
	cr_assert_eq(counter_register(&times), 0);
	counter_read_histogram(&times, 0, &h);
	cr_assert_eq(h.count, 0, "nothing counts before registration");
	cr_assert_eq(histogram_quantile(&h, 500), 0);
	for (uint64_t v = 0; v < 1000; v++)
		counter_record(&times, 1, v);
	counter_record(&times, 1, UINT64_MAX);
	counter_read_histogram(&times, 1, &h);
	cr_assert_eq(h.count, 1001);
	cr_assert_eq(h.buckets[0], 1);
	cr_assert_eq(h.buckets[10], 1000 - 512);
	cr_assert_eq(h.buckets[COUNTER_BUCKETS - 1], 1);
	cr_assert_eq(histogram_quantile(&h, 500), 511);
	cr_assert_eq(histogram_quantile(&h, 990), 1023);
}

Test(counter, too_many)
{
	struct counter_table huge = {"huge", COUNTER_SUM, NULL, 1 << 20};
	cr_assert_eq(counter_register(&huge), ERR_NOSPC);
}
