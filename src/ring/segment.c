/* Creating, mapping and moving the segment. One function computes the layout, for both sides. */
#include "ring/segment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

static uint32_t entries_for(uint32_t n_slots)
{
	/* A release and a submission of each slot can wait at the same time. */
	uint32_t n = 2 * RING_SLOTS_MIN;
	while (n < 2 * n_slots)
		n *= 2;
	return n;
}

static uint64_t bounded(uint64_t value, uint64_t min, uint64_t max)
{
	return value < min ? min : MIN(value, max);
}

static struct ring_shared layout(uint32_t n_slots, uint64_t arena_size)
{
	struct ring_shared s = {.magic = RING_MAGIC, .abi_version = RING_ABI_VERSION};
	s.n_slots = (uint32_t)bounded(n_slots, RING_SLOTS_MIN, RING_SLOTS_MAX);
	s.n_entries = entries_for(s.n_slots);
	s.n_events = RING_EVENTS;
	s.slot_stride = RING_SLOT_STRIDE;
	s.sq_offset = ALIGN_UP(sizeof(s), (size_t)PAGE);
	s.cq_offset = ALIGN_UP(s.sq_offset + s.n_entries * sizeof(uint32_t), (size_t)CACHE_LINE);
	s.event_offset = ALIGN_UP(s.cq_offset + s.n_entries * sizeof(uint32_t), (size_t)CACHE_LINE);
	s.slot_offset = ALIGN_UP(s.event_offset + s.n_events * sizeof(struct op_event), (size_t)PAGE);
	s.arena_offset = ALIGN_UP(s.slot_offset + (uint64_t)s.n_slots * s.slot_stride, (uint64_t)RING_ARENA_ALIGN);
	s.arena_size = ALIGN_UP(bounded(arena_size, RING_ARENA_MIN, RING_ARENA_MAX), (uint64_t)RING_ARENA_ALIGN);
	s.segment_size = s.arena_offset + s.arena_size;
	return s;
}

static int map(struct ring_segment *seg, const struct ring_shared *at)
{
	void *p = mmap(NULL, at->segment_size, PROT_READ | PROT_WRITE, MAP_SHARED, seg->fd, 0);
	if (p == MAP_FAILED)
		return err_from_errno(errno);
	seg->base = p;
	seg->size = at->segment_size;
	seg->n_slots = at->n_slots;
	seg->n_entries = at->n_entries;
	seg->arena_size = at->arena_size;
	seg->shared = p;
	seg->sq = (_Atomic uint32_t *)(seg->base + at->sq_offset);
	seg->cq = (_Atomic uint32_t *)(seg->base + at->cq_offset);
	seg->events = (struct op_event *)(seg->base + at->event_offset);
	seg->slots = seg->base + at->slot_offset;
	seg->arena = seg->base + at->arena_offset;
	return 0;
}

static int create_memfd(uint64_t size)
{
	int fd = memfd_create("chimera-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_from_errno(errno);
	/* A segment that its client could shrink would be a SIGBUS for chimerad. */
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int err = err_from_errno(errno);
		close(fd);
		return err;
	}
	return fd;
}

int ring_segment_create(struct ring_segment *seg, uint32_t n_slots, uint64_t arena_size)
{
	struct ring_shared at = layout(n_slots, arena_size);
	*seg = (struct ring_segment){.fd = create_memfd(at.segment_size)};
	if (seg->fd < 0)
		return seg->fd;
	int err = map(seg, &at);
	if (err) {
		ring_segment_close(seg);
		return err;
	}
	*seg->shared = at;
	return 0;
}

static int read_layout(int fd, uint64_t size, struct ring_shared *at)
{
	struct stat st;
	if (size < sizeof(*at) || fstat(fd, &st) < 0 || (uint64_t)st.st_size != size)
		return ERR_PROTO;
	void *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_from_errno(errno);
	memcpy(at, p, sizeof(*at));
	munmap(p, PAGE);
	struct ring_shared want = layout(at->n_slots, at->arena_size);
	return at->segment_size == size && memcmp(at, &want, offsetof(struct ring_shared, sq_tail)) == 0 ? 0 : ERR_PROTO;
}

int ring_segment_map(struct ring_segment *seg, int fd, uint64_t size)
{
	struct ring_shared at;
	*seg = (struct ring_segment){.fd = fd};
	int err = read_layout(fd, size, &at);
	if (!err)
		err = map(seg, &at);
	if (err)
		ring_segment_close(seg);
	return err;
}

int ring_segment_replace(struct ring_segment *seg, struct ring_segment *old)
{
	if (seg->size != old->size || seg->n_slots != old->n_slots || seg->arena_size != old->arena_size)
		return ERR_INVAL;
	if (mremap(seg->base, seg->size, seg->size, MREMAP_MAYMOVE | MREMAP_FIXED, old->base) == MAP_FAILED)
		return err_from_errno(errno);
	int fd = seg->fd;
	close(old->fd);
	*seg = *old;
	seg->fd = fd;
	*old = (struct ring_segment){.fd = -1};
	return 0;
}

void ring_segment_close(struct ring_segment *seg)
{
	if (seg->base)
		munmap(seg->base, seg->size);
	if (seg->fd >= 0)
		close(seg->fd);
	*seg = (struct ring_segment){.fd = -1};
}
