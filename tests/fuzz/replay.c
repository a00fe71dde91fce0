/* Runs a fuzz target over each file, or each file of each directory, named on the command line. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	CLEANUP_FILE FILE *f = fopen(path, "rb");
	struct bytes text;
	size_t n = f ? 1 : 0;
	if (!f) {
		perror(path);
		return -1;
	}
	bytes_init(&text, 16 << 20);
	while (n) {
		char *room = bytes_reserve(&text, 65536);
		n = room ? fread(room, 1, 65536, f) : 0;
		text.size += n;
	}
	/* An exact copy, so that a sanitizer sees a read past the end. */
	uint8_t *exact = malloc(text.size ? text.size : 1);
	for (size_t i = 0; exact && i < text.size; i++)
		exact[i] = (uint8_t)text.data[i];
	LLVMFuzzerTestOneInput(exact, text.size);
	free(exact);
	bytes_fini(&text);
	return 1;
}

static int replay_dir(const char *path, DIR *dir)
{
	int n = 0, got;
	for (struct dirent *e; (e = readdir(dir));) {
		char name[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		got = replay_file(name);
		if (got < 0)
			return got;
		n += got;
	}
	return n;
}

int main(int argc, char **argv)
{
	int total = 0;
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		int n = dir ? replay_dir(argv[i], dir) : replay_file(argv[i]);
		if (dir)
			closedir(dir);
		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d inputs\n", total);
	return total ? 0 : 1;
}
