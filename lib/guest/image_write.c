/* SPDX-License-Identifier: MIT */
/*
 * The writer: what of the builder's memory is saved, and how. See image.h for the whole.
 *
 * The kernel's list of mappings says what there is, pagemap which pages of it have ever been written to. Runs of used
 * pages go into the file; what lies between them is mapped anew at each start. Each mapping costs a start about a
 * microsecond and a page of zeroes in the file costs nothing until it is touched, so small gaps are saved with the
 * rest.
 *
 * The process that is written down is the one that writes. Nothing is allocated here: the buffers are on the stack,
 * which is not part of the image.
 */
#include "guest/image_write.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "guest/guest.h"
#include "guest/image_format.h"

enum {
	GAP_PAGES = 256, /* unused pages between used ones that are saved rather than mapped apart */
	PIECE_BYTES = 2 << 20, /* a huge page's */
	MAPS_MAX = 128 << 10,
	PAGEMAP_CHUNK = 512,
	SIGNALS = 64,
	SIGSET_BYTES = 8,
};

#define PAGEMAP_USED \
	(3ULL << 62) /* present or swapped (Documentation/admin-guide/mm/pagemap.rst) */

struct mapping {
	uint64_t start, end, inode;
	char prot[5];
	const char *name;
};

struct writer {
	int fd;
	int pagemap_fd;
	struct pyi_image_header *header;
	/* Areas are collected apart and put behind the runs at the end. */
	struct pyi_image_range *areas;
	uint64_t data_start, data_end;
	uint32_t next_page; /* of the file */
	struct pyi_err *err;
};

static int too_many(const struct writer *writer)
{
	return pyi_err_set(writer->err, E2BIG, "the image would have more than %zu ranges",
			   (size_t)PYI_IMAGE_MAX_RANGES);
}

static int add_area(struct writer *writer, uint64_t start, uint64_t end, uint32_t prot)
{
	struct pyi_image_header *header = writer->header;

	if (start == end)
		return 0;
	if (header->n_runs + header->n_areas >= PYI_IMAGE_MAX_RANGES)
		return too_many(writer);
	writer->areas[header->n_areas++] = (struct pyi_image_range){
		.addr = start, .n_pages = (uint32_t)((end - start) / PYI_IMAGE_PAGE), .arg = prot
	};
	return 0;
}

static bool is_zero(const uint64_t *page)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < PYI_IMAGE_PAGE / sizeof(*page); i++)
		bits |= page[i];
	return !bits;
}

/*
 * The pages themselves. In pieces as large as can be, each up to where the next one would begin in the file: the file
 * system then keeps them as few large folios, which a page fault maps sixteen pages of at once, instead of one by one.
 */
static int write_pages(struct writer *writer, uint64_t start, uint64_t end)
{
	uint64_t at = (uint64_t)writer->next_page * PYI_IMAGE_PAGE;

	while (start < end) {
		uint64_t len = PIECE_BYTES - at % PIECE_BYTES;
		ssize_t n;

		if (len > end - start)
			len = end - start;
		n = pwrite(writer->fd, (const void *)start, len, (off_t)at);
		if (n <= 0)
			return pyi_err_sys(writer->err, n ? errno : ENOSPC, "cannot write the image");
		start += (uint64_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static int add_run(struct writer *writer, uint64_t start, uint64_t end)
{
	struct pyi_image_header *header = writer->header;
	uint32_t n = (uint32_t)((end - start) / PYI_IMAGE_PAGE);
	int ret;

	if (header->n_runs + header->n_areas >= PYI_IMAGE_MAX_RANGES)
		return too_many(writer);
	ret = write_pages(writer, start, end);
	header->ranges[header->n_runs++] = (struct pyi_image_range){ .addr = start,
								     .n_pages = n,
								     .arg = writer->next_page };
	writer->next_page += n;
	header->n_pages += n;
	return ret;
}

static bool is_used(uint64_t entry, uint64_t addr)
{
	return (entry & PAGEMAP_USED) && !is_zero((const uint64_t *)addr);
}

/* Anonymous memory: runs of used pages, areas between them. */
static int add_memory(struct writer *writer, const struct mapping *map)
{
	uint64_t entries[PAGEMAP_CHUNK];
	uint64_t run = 0, run_end = map->start; /* the run that grows, if any; where the last one ended */
	int ret = 0;

	for (uint64_t addr = map->start; !ret && addr < map->end; addr += PYI_IMAGE_PAGE) {
		size_t i = (addr - map->start) / PYI_IMAGE_PAGE % PAGEMAP_CHUNK;

		if (i == 0 && pread(writer->pagemap_fd, entries, sizeof(entries),
				    (off_t)(addr / PYI_IMAGE_PAGE * sizeof(entries[0]))) <
				      (ssize_t)sizeof(entries[0]))
			return pyi_err_sys(writer->err, errno, "cannot read /proc/self/pagemap");
		if (!is_used(entries[i], addr))
			continue;
		if (run && addr - run_end > (uint64_t)GAP_PAGES * PYI_IMAGE_PAGE) {
			ret = add_run(writer, run, run_end);
			run = 0;
		}
		if (!run) {
			ret = ret ? ret : add_area(writer, run_end, addr, PROT_READ | PROT_WRITE);
			run = addr;
		}
		run_end = addr + PYI_IMAGE_PAGE;
	}
	if (!ret && run)
		ret = add_run(writer, run, run_end);
	return ret ? ret : add_area(writer, run_end, map->end, PROT_READ | PROT_WRITE);
}

static bool is_kernels(const struct mapping *map)
{
	return !strcmp(map->name, "[stack]") || !strncmp(map->name, "[v", 2); /* vdso, vvar, vsyscall */
}

static int add_mapping(struct writer *writer, const struct mapping *map)
{
	if (is_kernels(map) || (map->start >= (uint64_t)&__ehdr_start && map->end <= writer->data_end))
		return 0;
	if (map->prot[3] == 's' || map->prot[2] == 'x' || map->inode || map->end > PYI_IMAGE_HIGHEST)
		return pyi_err_set(writer->err, ENOTSUP,
				   "memory that an image cannot hold: %#" PRIx64 " %s %s",
				   map->start, map->prot, map->name);
	if (!strncmp(map->prot, "---", 3))
		return add_area(writer, map->start, map->end, PROT_NONE);
	if (!strncmp(map->prot, "rw-", 3))
		return add_memory(writer, map);
	return pyi_err_set(writer->err, ENOTSUP, "read-only memory outside the binary: %#" PRIx64 " %s",
			   map->start, map->name);
}

/* "start-end prot offset major:minor inode   name" */
static void parse_mapping(char *line, struct mapping *ret_map)
{
	char *at = line;

	ret_map->start = strtoull(at, &at, 16);
	ret_map->end = strtoull(*at ? at + 1 : at, &at, 16);
	memset(ret_map->prot, 0, sizeof(ret_map->prot));
	if (strlen(at) > 5)
		memcpy(ret_map->prot, at + 1, 4);
	for (int field = 0; field < 4; field++) {
		at += strspn(at, " ");
		if (field == 3)
			ret_map->inode = strtoull(at, NULL, 10);
		at += strcspn(at, " ");
	}
	ret_map->name = at + strspn(at, " ");
}

static int add_mappings(struct writer *writer)
{
	_cleanup_fd int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char text[MAPS_MAX];
	ssize_t len = fd < 0 ? -errno : pyi_read_full(fd, text, sizeof(text) - 1);
	struct mapping map;
	int ret = 0;

	if (len < 0)
		return pyi_err_sys(writer->err, (int)-len, "cannot read /proc/self/maps");
	if (len == sizeof(text) - 1)
		return too_many(writer);
	text[len] = '\0';
	for (char *line = text, *end; !ret && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		parse_mapping(line, &map);
		ret = add_mapping(writer, &map);
	}
	return ret;
}

/* Segments that huge pages can be mapped for may lie apart. Nobody else is there, at fixed addresses below the heap. */
static int fill_data_gaps(struct writer *writer)
{
	const Elf64_Ehdr *ehdr = &__ehdr_start;
	const Elf64_Phdr *phdr = (const void *)((const char *)ehdr + ehdr->e_phoff);
	const uint64_t mask = -(uint64_t)PYI_IMAGE_PAGE;
	uint64_t end = writer->data_start;

	for (int i = 0; i < ehdr->e_phnum; i++) {
		uint64_t start = phdr[i].p_vaddr & mask;

		if (phdr[i].p_type != PT_LOAD || !(phdr[i].p_flags & PF_W))
			continue;
		if (start > end &&
		    mmap((void *)end, start - end, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
			return pyi_err_sys(writer->err, errno,
					   "cannot map what is between the binary's segments");
		end = (phdr[i].p_vaddr + phdr[i].p_memsz + PYI_IMAGE_PAGE - 1) & mask;
	}
	return 0;
}

/* The binary's own data as a whole: one mapping takes the place of those that the kernel makes of it. */
static int add_data(struct writer *writer)
{
	int ret = fill_data_gaps(writer);

	return ret ? ret : add_run(writer, writer->data_start, writer->data_end);
}

static void find_segments(struct writer *writer)
{
	const Elf64_Ehdr *ehdr = &__ehdr_start;
	const Elf64_Phdr *phdr = (const void *)((const char *)ehdr + ehdr->e_phoff);
	const uint64_t mask = -(uint64_t)PYI_IMAGE_PAGE;

	pyi_image_own_data(ehdr, &writer->data_start, &writer->data_end);
	for (int i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == PT_GNU_RELRO) {
			writer->header->relro_start = phdr[i].p_vaddr & mask;
			writer->header->relro_end = (phdr[i].p_vaddr + phdr[i].p_memsz) & mask;
		}
}

/* What the kernel keeps of a thread, and libc has told it. */
static int fill_thread(struct pyi_image_header *header, struct pyi_err *err)
{
	int *tid = NULL;
	size_t robust_len;

	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &header->thread) ||
	    syscall(SYS_get_robust_list, 0, &header->robust_list, &robust_len))
		return pyi_err_sys(err, errno, "cannot learn the thread's addresses");
	if (prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0) || !tid || *tid != (int)syscall(SYS_gettid))
		return pyi_err_set(err, ENOTSUP,
				   "the kernel does not say where libc keeps the thread's id");
	header->tid = (uint64_t)tid;
	return 0;
}

/* Dispositions: an exec resets them, the guest's Python expects them. */
static int fill_signals(struct pyi_image_header *header, struct pyi_err *err)
{
	size_t n = 0;

	for (int signo = 1; signo <= SIGNALS; signo++) {
		struct pyi_image_signal signal = { .signo = (uint64_t)signo };

		if (syscall(SYS_rt_sigaction, signo, NULL, signal.action, SIGSET_BYTES) ||
		    !signal.action[0])
			continue;
		if (n == PYI_IMAGE_SIGNALS)
			return pyi_err_set(err, E2BIG,
					   "the image would have more than %d signal handlers",
					   PYI_IMAGE_SIGNALS);
		header->signals[n++] = signal;
	}
	return 0;
}

static int fill_header(struct writer *writer, const char *names)
{
	struct pyi_image_header *header = writer->header;
	const uint8_t *build_id = pyi_build_id();
	int ret = fill_thread(header, writer->err);

	if (!ret)
		ret = fill_signals(header, writer->err);
	if (ret)
		return ret;
	if (!build_id)
		return pyi_err_set(writer->err, ENOEXEC, "this binary has no build-id");
	memcpy(header->magic, PYI_IMAGE_MAGIC, sizeof(header->magic));
	header->format = PYI_IMAGE_FORMAT;
	memcpy(header->build_id, build_id, PYI_IMAGE_BUILD_ID_LEN);
	pyi_cpu_words(header->cpu);
	strncpy(header->python, pyi_guest_python_version(), sizeof(header->python) - 1);
	header->names_at = (uint64_t)writer->next_page * PYI_IMAGE_PAGE;
	header->file_size = header->names_at + strlen(names);
	memcpy(header->ranges + header->n_runs, writer->areas,
	       header->n_areas * sizeof(header->ranges[0]));
	header->size = (uint32_t)(sizeof(*header) +
				  (header->n_runs + header->n_areas) * sizeof(header->ranges[0]));
	header->checksum = pyi_image_checksum(header, header->size);
	if (ftruncate(writer->fd, (off_t)header->file_size) ||
	    pwrite(writer->fd, names, strlen(names), (off_t)header->names_at) != (ssize_t)strlen(names) ||
	    pwrite(writer->fd, header, header->size, 0) != (ssize_t)header->size)
		return pyi_err_sys(writer->err, errno, "cannot write the image");
	return 0;
}

int pyi_image_write(int fd, const char *names, struct pyi_err *err)
{
	_cleanup_fd int pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	_Alignas(uint64_t) char header[PYI_IMAGE_PAGES_AT] = { 0 };
	struct pyi_image_range areas[PYI_IMAGE_MAX_RANGES];
	struct writer writer = {
		.fd = fd,
		.pagemap_fd = pagemap_fd,
		.header = (struct pyi_image_header *)header,
		.areas = areas,
		.next_page = PYI_IMAGE_PAGES_AT / PYI_IMAGE_PAGE,
		.err = err,
	};
	uint64_t brk;
	int ret;

	if (pagemap_fd < 0)
		return pyi_err_sys(err, errno, "cannot open /proc/self/pagemap");
	brk = ((uint64_t)sbrk(0) + PYI_IMAGE_PAGE - 1) & -(uint64_t)PYI_IMAGE_PAGE;
	munmap((void *)brk, PYI_IMAGE_PAGE); /* which kept the heap away from here (image_start.c) */
	find_segments(&writer);
	ret = add_mappings(&writer);
	if (!ret)
		ret = add_data(&writer);
	return ret ? ret : fill_header(&writer, names);
}
