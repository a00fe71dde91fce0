/* READ, WRITE and COMMIT: payloads pass by reference in both directions. */
#include "protocols/nfs/nfs3-impl.h"

#define ROOM_TRIES 2000
#define ROOM_RETRY_NS NS_PER_MS

static uint32_t io_limit(const struct rpc_request *rq)
{
	const struct nfs_server *s = nfs_of(rq);
	return rq->peer->stream ? s->max_io : s->udp_max_io;
}

static uint32_t iov_size(const struct iovec *iov, int n)
{
	size_t size = 0;
	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	return (uint32_t)size;
}

static void answer_read(struct rpc_request *rq, const struct op *op, struct READ3resok *r)
{
	const struct op_read_out *out = &op->out.read;
	nfs3_post(&out->attr, &r->file_attributes);
	r->data.iov = rq->iov;
	r->data.n_iov = client_op_iov(rq->client, op, rq->iov);
	r->data.size = iov_size(rq->iov, r->data.n_iov);
	r->count = r->data.size;
	r->eof = out->eof;
}

/*
 * An attachment that maps no pages gets copies, and the memory for those can run short for a while: replies that
 * leave give it back.
 */
static int run_read(struct rpc_request *rq, struct op *op, int err)
{
	err = nfs3_run(rq, op, err);
	for (int i = 0; unlikely(err == ERR_TOOSMALL) && i < ROOM_TRIES; i++) {
		fiber_sleep_ns(ROOM_RETRY_NS);
		op->n_segs = 0;
		err = nfs3_run(rq, op, 0);
	}
	return err == ERR_TOOSMALL ? ERR_DELAY : err;
}

int nfs3_read(struct rpc_request *rq, const void *args, void *res)
{
	const struct READ3args *a = args;
	struct READ3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->file, OP_read, &op);
	if (!err) {
		op->flags |= OP_F_OWNER_OVERRIDE;
		op->in.read.offset = a->offset;
		op->in.read.size = MIN(a->count, io_limit(rq));
		rpc_answer_begin(rq, op->in.read.size);
	}
	err = run_read(rq, op, err);
	rpc_answer_fetched(rq, op->out.read.copied);
	r->status = nfs3_status(err);
	if (err)
		nfs3_post(&op->out.read.attr, &r->file_attributes);
	else
		answer_read(rq, op, &r->resok);
	return nfs3_done(rq);
}

static int set_write(struct rpc_request *rq, struct op *op, const struct WRITE3args *a)
{
	static const uint8_t stabilities[] = {
		[UNSTABLE] = WRITE_UNSTABLE, [DATA_SYNC] = WRITE_DATA_SYNC, [FILE_SYNC] = WRITE_FILE_SYNC};
	if (a->count > a->data.size)
		return ERR_INVAL;
	op->flags |= OP_F_OWNER_OVERRIDE;
	op->in.write.offset = a->offset;
	op->in.write.size = a->count;
	op->in.write.stability = stabilities[a->stable];
	return a->count ? rpc_add_payload(rq, op, &a->data, a->count) : 0;
}

int nfs3_write(struct rpc_request *rq, const void *args, void *res)
{
	const struct WRITE3args *a = args;
	struct WRITE3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->file, OP_write, &op);
	if (!err)
		err = set_write(rq, op, a);
	err = nfs3_run(rq, op, err);
	const struct op_write_out *out = &op->out.write;
	r->status = nfs3_status(err);
	nfs3_wcc(&out->wcc, err ? &r->file_wcc : &r->resok.file_wcc);
	if (!err) {
		static const uint8_t committed[] = {
			[WRITE_UNSTABLE] = UNSTABLE, [WRITE_DATA_SYNC] = DATA_SYNC, [WRITE_FILE_SYNC] = FILE_SYNC};
		r->resok.count = out->size;
		r->resok.committed = (enum stable_how)(out->stability < ARRAY_SIZE(committed) ? committed[out->stability] : 0);
		memcpy(r->resok.verf, &out->verifier, sizeof(r->resok.verf));
	}
	return nfs3_done(rq);
}

int nfs3_commit(struct rpc_request *rq, const void *args, void *res)
{
	const struct COMMIT3args *a = args;
	struct COMMIT3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->file, OP_commit, &op);
	if (!err) {
		op->in.commit.offset = a->offset;
		op->in.commit.size = a->count;
	}
	err = nfs3_run(rq, op, err);
	r->status = nfs3_status(err);
	nfs3_wcc(&op->out.commit.wcc, err ? &r->file_wcc : &r->resok.file_wcc);
	if (!err)
		memcpy(r->resok.verf, &op->out.commit.verifier, sizeof(r->resok.verf));
	return nfs3_done(rq);
}
