/* SPDX-License-Identifier: MIT */
/*
 * The build's side of prestart.h: which pages are not as they stand in the file? Uses the stack only, because the rest
 * of the memory is what it describes. Run without address randomisation, with a scrubbed environment.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "cmd/prestart.h"
#include "policy/policy.h"

enum { PAGE = 4096, GET_FS = 0x1003, TCB_SCAN = 0x800 };

struct save {
	struct pyi_prestart head;
	uint64_t used; /* of the section */
	int out_fd;
	int exe_fd;
};

static int refuse(const char *why)
{
	dprintf(STDERR_FILENO, "prestart: %s\n", why);
	return -1;
}

/* One page that is to be put in place; joined to the run before where it follows it. */
static int add_page(struct save *save, uint64_t addr)
{
	struct pyi_prestart *head = &save->head;
	struct pyi_prestart_run *last = head->n_runs ? &head->runs[head->n_runs - 1] : NULL;

	if (save->used + PAGE > PYI_PRESTART_BYTES)
		return refuse("the section is too small");
	if (pwrite(save->out_fd, (const void *)addr, PAGE, (off_t)save->used) != PAGE)
		return refuse("cannot write a page");
	if (last && last->addr + last->len == addr) {
		last->len += PAGE;
	} else {
		if (head->n_runs == PYI_PRESTART_RUNS_MAX)
			return refuse("too many runs of pages");
		head->runs[head->n_runs++] = (struct pyi_prestart_run){ addr, PAGE, save->used };
	}
	save->used += PAGE;
	return 0;
}

/* The page as the kernel loads it: from the file as far as that goes, then zeroes. */
static int load_page(const struct save *save, const Elf64_Phdr *ph, uint64_t addr, char page[PAGE])
{
	uint64_t file_end = ph->p_vaddr + ph->p_filesz;
	size_t len = addr >= file_end	      ? 0
		     : file_end - addr < PAGE ? (size_t)(file_end - addr)
					      : PAGE;

	memset(page, 0, PAGE);
	if (len && pread(save->exe_fd, page, len, (off_t)(ph->p_offset + addr - ph->p_vaddr)) !=
			   (ssize_t)len)
		return refuse("cannot read our own file");
	return 0;
}

static int add_segment(struct save *save, const Elf64_Phdr *ph)
{
	uint64_t addr = ph->p_vaddr & ~(uint64_t)(PAGE - 1);
	char page[PAGE];

	for (; addr < ph->p_vaddr + ph->p_memsz; addr += PAGE) {
		if (load_page(save, ph, addr, page))
			return -1;
		if (memcmp(page, (const void *)addr, PAGE) != 0 && add_page(save, addr))
			return -1;
	}
	return 0;
}

/*
 * Take what is left of the heap, so that whatever the program allocates later comes from the break, which is random.
 * With no memory to be had from the kernel, malloc gives out all it has, from the largest piece to the smallest. What
 * was in it is gone: pages of zeroes need not be prepared.
 */
static int use_up_heap(void)
{
	const struct rlimit none = { PAGE, RLIM_INFINITY }; /* 0 is no limit */

	if (setrlimit(RLIMIT_DATA, &none) < 0)
		return refuse("cannot limit the heap");
	for (size_t size = 1 << 20; size; size = size > 4096 ? size / 2 : size - 8) {
		void *taken; /* never given back */

		while ((taken = malloc(size)))
			explicit_bzero(taken, size);
	}
	return 0;
}

/* The heap: thread-local storage, and what the C library allocated. */
static int add_heap(struct save *save, uint64_t start)
{
	static const char zeroes[PAGE];
	uint64_t end = (uint64_t)sbrk(0);

	start = (start + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (end <= start || end - start > (1 << 20) || (end & (PAGE - 1)))
		return refuse("the heap does not follow the program: is its address random?");
	save->head.heap_addr = start;
	save->head.heap_len = end - start;
	for (; start < end; start += PAGE)
		if (memcmp(zeroes, (const void *)start, PAGE) != 0 && add_page(save, start))
			return -1;
	return 0;
}

static int add_memory(struct save *save)
{
	const Elf64_Phdr *ph = (const Elf64_Phdr *)getauxval(AT_PHDR);
	uint64_t n = getauxval(AT_PHNUM), end = 0;

	for (; n--; ph++) {
		if (ph->p_type == PT_GNU_RELRO) {
			save->head.relro_addr = ph->p_vaddr & ~(uint64_t)(PAGE - 1);
			save->head.relro_len = ((ph->p_vaddr + ph->p_memsz) & ~(uint64_t)(PAGE - 1)) -
					       save->head.relro_addr;
		}
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
			continue;
		if (add_segment(save, ph))
			return -1;
		end = ph->p_vaddr + ph->p_memsz;
	}
	return end ? add_heap(save, end) : refuse("no writable segment");
}

/* Whatever else can be written would be missing. */
static int check_maps(void)
{
	char text[16384], *line, *save = NULL;
	ssize_t n = pyi_read_at(AT_FDCWD, "/proc/self/maps", text, sizeof(text));

	if (n <= 0 || n >= (ssize_t)sizeof(text) - 1)
		return refuse("cannot read /proc/self/maps");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *perms = strchr(line, ' ');
		uint64_t addr = strtoull(line, NULL, 16);

		if (!perms || perms[2] != 'w' || addr < (uint64_t)sbrk(0) || strstr(line, "[stack]"))
			continue;
		dprintf(STDERR_FILENO, "prestart: %s\n", line);
		return refuse("memory that would be missing");
	}
	return 0;
}

/* The thread: its id stands once in what the C library keeps behind the thread pointer. */
static int find_thread(struct pyi_prestart *head)
{
	struct robust_list_head *robust;
	size_t len;
	int n = 0;

	if (syscall(SYS_arch_prctl, GET_FS, &head->fs) < 0 ||
	    syscall(SYS_get_robust_list, 0, &robust, &len) < 0)
		return refuse("cannot read the thread's registrations");
	for (uint64_t addr = head->fs; addr < head->fs + TCB_SCAN; addr += 4) {
		if (*(const int *)addr == gettid()) {
			head->tid_addr = addr;
			n++;
		}
	}
	if (n != 1)
		return refuse("the thread's id is not where it should be");
	head->robust_head = (uint64_t)robust;
	head->rseq_addr = __rseq_size ? head->fs + (uint64_t)__rseq_offset : 0;
	head->rseq_len = __rseq_size;
	return 0;
}

int pyi_prestart_save(const char *path)
{
	struct save save = { .used = PAGE, .exe_fd = -1, .out_fd = -1 };
	char page[PAGE] = { 0 };
	struct pyi_err err = { 0 };
	int ret;

	_Static_assert(sizeof(struct pyi_prestart) <= PAGE, "the head has a page");
	if (*(const volatile uint32_t *)pyi_prestart_section)
		return -refuse("this program is prepared already");
	save.exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	save.out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (save.exe_fd < 0 || save.out_fd < 0)
		return -refuse("cannot open the files");
	/* What nearly every run begins with. */
	ret = pyi_policy_make_ready(&err) ? refuse(err.msg) : use_up_heap();
	if (!ret)
		ret = find_thread(&save.head);
	if (!ret)
		ret = add_memory(&save);
	if (!ret)
		ret = check_maps();
	if (ret)
		return -ret;
	save.head.magic = PYI_PRESTART_MAGIC;
	memcpy(page, &save.head, sizeof(save.head));
	if (pwrite(save.out_fd, page, PAGE, 0) != PAGE || ftruncate(save.out_fd, PYI_PRESTART_BYTES) < 0)
		return -refuse("cannot write the head");
	return 0;
}
