/* SPDX-License-Identifier: MIT */
/* Is a file an image that a guest of this binary can start from? For those who hand it to the guest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "guest/image.h"
#include "guest/image_format.h"

static uint32_t cached_cpu[PYI_IMAGE_CPU_WORDS];

void pyi_image_know_cpu(const uint32_t *words)
{
	memcpy(cached_cpu, words, sizeof(cached_cpu));
}

/* Asked once. */
static const uint32_t *own_cpu(void)
{
	if (!cached_cpu[1]) /* family and model */
		pyi_cpu_words(cached_cpu);
	return cached_cpu;
}

static int no_build_id(struct pyi_err *err)
{
	return pyi_err_set(err, ENOEXEC, "this binary has no build-id, so no image can be tied to it");
}

int pyi_image_key(char *ret_key, size_t size, struct pyi_err *err)
{
	const uint8_t *build_id = pyi_build_id();
	size_t n = 0;

	if (!build_id)
		return no_build_id(err);
	if (size < PYI_IMAGE_KEY_LEN)
		return pyi_err_set(err, ENOSPC, "no room for the image's key");
	for (; n < PYI_IMAGE_BUILD_ID_LEN; n++)
		snprintf(ret_key + 2 * n, 3, "%02x", build_id[n]);
	snprintf(ret_key + 2 * n, PYI_IMAGE_KEY_LEN - 2 * n, "-%016llx-%x",
		 (unsigned long long)pyi_image_checksum(own_cpu(),
							PYI_IMAGE_CPU_WORDS * sizeof(uint32_t)),
		 PYI_IMAGE_FORMAT);
	return 0;
}

static int check_maker(const struct pyi_image_header *header, struct pyi_err *err)
{
	const uint8_t *build_id = pyi_build_id();

	if (!build_id)
		return no_build_id(err);
	if (memcmp(header->build_id, build_id, PYI_IMAGE_BUILD_ID_LEN))
		return pyi_err_set(err, ESTALE, "made by another build of pyisolate");
	if (memcmp(header->cpu, own_cpu(), sizeof(header->cpu)))
		return pyi_err_set(err, ESTALE, "made on another CPU");
	return 0;
}

static void read_names(int fd, const struct pyi_image_header *header, char *ret_names)
{
	ssize_t len = pread(fd, ret_names, PYI_IMAGE_NAMES_LEN - 1, (off_t)header->names_at);

	ret_names[len > 0 ? len : 0] = '\0';
	for (char *c = ret_names; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void fill_info(int fd, const struct pyi_image_header *header, struct pyi_image_info *ret_info)
{
	const struct pyi_image_range *hot = header->ranges + header->n_runs + header->n_areas;

	*ret_info = (struct pyi_image_info){
		.bytes = header->file_size,
		.n_pages = header->n_pages,
		.n_runs = header->n_runs,
		.n_holes = header->n_areas,
		.n_hot = header->n_hot,
	};
	memcpy(ret_info->python, header->python, sizeof(ret_info->python) - 1);
	for (uint32_t i = 0; i < header->n_hot; i++)
		ret_info->hot_pages += hot[i].n_pages;
	read_names(fd, header, ret_info->preload);
}

int pyi_image_check(int fd, struct pyi_image_info *ret_info, struct pyi_err *err)
{
	_Alignas(uint64_t) char buffer[PYI_IMAGE_PAGES_AT];
	struct pyi_image_header *header = (struct pyi_image_header *)buffer;
	struct stat st;
	ssize_t len;
	int ret;

	if (fstat(fd, &st))
		return pyi_err_sys(err, errno, "cannot look at the image");
	if (!S_ISREG(st.st_mode))
		return pyi_err_set(err, EINVAL, "not a regular file");
	len = pread(fd, buffer, sizeof(buffer), 0);
	if (len < 0)
		return pyi_err_sys(err, errno, "cannot read the image");
	if (len < (ssize_t)sizeof(*header) ||
	    memcmp(header->magic, PYI_IMAGE_MAGIC, sizeof(header->magic)))
		return pyi_err_set(err, EINVAL, "not an image");
	if (header->format != PYI_IMAGE_FORMAT)
		return pyi_err_set(err, ESTALE, "of format %u, not %d", header->format,
				   PYI_IMAGE_FORMAT);
	if (header->file_size != (uint64_t)st.st_size)
		return pyi_err_set(err, EINVAL, "%llu bytes long instead of %llu",
				   (unsigned long long)st.st_size,
				   (unsigned long long)header->file_size);
	if (!pyi_image_is_sane(header, (size_t)len, (uint64_t)st.st_size))
		return pyi_err_set(err, EINVAL, "damaged: its tables do not add up");
	ret = check_maker(header, err);
	if (!ret && ret_info)
		fill_info(fd, header, ret_info);
	return ret;
}
