/* Attributes pass between the VFS and NFSv3 without loss, and what NFSv3 cannot say is moved to the nearest it can. */
#include <criterion/criterion.h>

#include "protocols/nfs/nfs3-impl.h"

static const struct op_attr known = {
	.mask = ATTR_ALL, .type = OP_TYPE_CHAR, .mode = 0106644, .nlink = 2, .uid = 3, .gid = 4, .size = 5, .space = 4096,
	.fsid = 6, .fileid = 7, .rdev_major = 8, .rdev_minor = 9, .atime = {10, 11, 0}, .mtime = {12, 13, 0},
	.ctime = {14, 15, 0},
};

Test(nfs3_attr, every_field_arrives)
{
	struct fattr3 f;
	nfs3_fattr(&known, &f);
	cr_assert_eq(f.type, NF3CHR);
	cr_assert_eq(f.mode, 06644, "type bits are no part of it");
	cr_assert(f.nlink == 2 && f.uid == 3 && f.gid == 4 && f.size == 5 && f.used == 4096);
	cr_assert(f.rdev.specdata1 == 8 && f.rdev.specdata2 == 9 && f.fsid == 6 && f.fileid == 7);
	cr_assert(f.atime.seconds == 10 && f.atime.nseconds == 11 && f.mtime.seconds == 12 && f.ctime.nseconds == 15);
}

Test(nfs3_attr, times_out_of_range_are_clamped)
{
	struct op_attr a = known;
	struct fattr3 f;
	a.atime = (struct op_time){-1, 5, 0};
	a.mtime = (struct op_time){1LL << 33, 5, 0};
	nfs3_fattr(&a, &f);
	cr_assert(f.atime.seconds == 0 && f.atime.nseconds == 0);
	cr_assert(f.mtime.seconds == UINT32_MAX && f.mtime.nseconds == 999999999);
}

Test(nfs3_attr, attributes_that_are_not_known_are_not_sent)
{
	struct op_attr a = known;
	struct op_wcc w = {.pre = {.valid = 0}, .post = {.mask = 0}};
	struct post_op_attr post;
	struct wcc_data wcc;
	nfs3_post(&a, &post);
	cr_assert(post.attributes_follow);
	a.mask &= ~ATTR_FILEID;
	nfs3_post(&a, &post);
	cr_assert_not(post.attributes_follow);
	nfs3_wcc(&w, &wcc);
	cr_assert_not(wcc.before.attributes_follow);
	cr_assert_not(wcc.after.attributes_follow);
	w = (struct op_wcc){.pre = {.valid = 1, .size = 9, .mtime = {1, 2, 0}, .ctime = {3, 4, 0}}, .post = known};
	nfs3_wcc(&w, &wcc);
	cr_assert(wcc.before.attributes_follow && wcc.before.attributes.size == 9);
	cr_assert_eq(wcc.before.attributes.ctime.nseconds, 4);
	cr_assert(wcc.after.attributes_follow && wcc.after.attributes.size == 5);
}

Test(nfs3_attr, what_is_set_is_what_was_asked_for)
{
	struct sattr3 s = {.has_mode = true, .mode = 0100777, .has_size = true, .size = 3};
	struct op_attr a;
	s.atime.set_it = SET_TO_SERVER_TIME;
	s.mtime.set_it = SET_TO_CLIENT_TIME;
	s.mtime.time = (struct nfstime3){5, 6};
	nfs3_sattr(&s, &a);
	cr_assert_eq(a.mask, ATTR_MODE | ATTR_SIZE | ATTR_ATIME_NOW | ATTR_MTIME);
	cr_assert(a.mode == 0777 && a.size == 3 && a.mtime.sec == 5 && a.mtime.nsec == 6);
	nfs3_sattr(&(struct sattr3){0}, &a);
	cr_assert_eq(a.mask, 0);
}
