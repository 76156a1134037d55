/* SPDX-License-Identifier: MIT */
/*
 * The guest spec as bytes: written by the supervisor into a sealed memfd, mapped and parsed by the guest.
 *
 *	struct spec_head | insns | name\0 path0\0 | args, each with \0 | imports, each with \0 | text | \0
 *
 * The writer is trusted by the reader; the reader checks everything all the same, so that a mistake is an error
 * message and not a crash before the lock-down.
 */
#include "guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/util.h"

enum {
	SPEC_VERSION = 1,
	SPEC_STRINGS_MAX = 1 << 20,	   /* arguments and imports together */
	SPEC_STRINGS_BYTES_MAX = 64 << 20, /* their bytes: far above what execve takes */
	SPEC_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

enum spec_flag {
	SPEC_HAS_TEXT = 1 << 0,
	SPEC_HAS_IMPORTS = 1 << 1,
	SPEC_HAS_SECCOMP = 1 << 2,
	SPEC_REPORT_OSERRORS = 1 << 3,
	SPEC_MDWE = 1 << 4,
	SPEC_FLAGS = (1 << 5) - 1,
};

struct spec_head {
	char magic[8];
	uint32_t version;
	uint32_t source;
	uint32_t flags;
	uint32_t n_insns;
	uint32_t n_args;
	uint32_t n_imports;
	uint64_t strings_len;
	uint64_t text_len;
};

static const char spec_magic[8] = "pyispec";

static void add_string(struct pyi_buf *buf, const char *s)
{
	pyi_buf_add(buf, s, strlen(s) + 1);
}

static int too_many(const struct pyi_guest_spec *spec, struct pyi_err *err)
{
	return pyi_err_set(err, E2BIG, "too many arguments for '%s'", spec->name);
}

static int check_writable(const struct pyi_guest_spec *spec, struct pyi_err *err)
{
	if (spec->text_len > PYI_GUEST_TEXT_MAX)
		return pyi_err_set(err, EFBIG, "'%s' is larger than %d MiB", spec->name,
				   PYI_GUEST_TEXT_MAX >> 20);
	if (spec->n_args > SPEC_STRINGS_MAX || spec->n_imports > SPEC_STRINGS_MAX - spec->n_args)
		return too_many(spec, err);
	if (spec->seccomp && (!spec->seccomp->n || spec->seccomp->n > PYI_SECCOMP_MAX))
		return pyi_err_set(err, EINVAL, "bad system call filter");
	return 0;
}

static int make_memfd(const struct pyi_buf *front, const struct pyi_guest_spec *spec, int *ret_fd,
		      struct pyi_err *err)
{
	_cleanup_fd int fd = memfd_create("pyisolate-spec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret;

	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot make a memory file");
	ret = pyi_write_all(fd, front->data, front->len);
	if (!ret && spec->text)
		ret = pyi_write_all(fd, spec->text, spec->text_len);
	if (!ret)
		ret = pyi_write_all(fd, "", 1);
	if (ret)
		return pyi_err_sys(err, -ret, "cannot write the guest's spec");
	if (fcntl(fd, F_ADD_SEALS, SPEC_SEALS))
		return pyi_err_sys(err, errno, "cannot seal the guest's spec");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

int pyi_guest_spec_write(const struct pyi_guest_spec *spec, int *ret_fd, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf strings = PYI_BUF_INIT;
	_cleanup_buf struct pyi_buf front = PYI_BUF_INIT;
	struct spec_head head = {
		.version = SPEC_VERSION,
		.source = spec->source,
		.flags = (spec->text ? SPEC_HAS_TEXT : 0) | (spec->imports ? SPEC_HAS_IMPORTS : 0) |
			 (spec->seccomp ? SPEC_HAS_SECCOMP : 0) |
			 (spec->report_oserrors ? SPEC_REPORT_OSERRORS : 0) |
			 (spec->mdwe ? SPEC_MDWE : 0),
		.n_insns = spec->seccomp ? spec->seccomp->n : 0,
		.n_args = spec->n_args,
		.n_imports = spec->imports ? spec->n_imports : 0,
		.text_len = spec->text ? spec->text_len : 0,
	};
	int ret = check_writable(spec, err);

	if (ret)
		return ret;
	add_string(&strings, spec->name);
	add_string(&strings, spec->path0);
	for (size_t i = 0; i < spec->n_args; i++)
		add_string(&strings, spec->args[i]);
	for (size_t i = 0; i < head.n_imports; i++)
		add_string(&strings, spec->imports[i]);
	if (strings.len > SPEC_STRINGS_BYTES_MAX)
		return too_many(spec, err);

	memcpy(head.magic, spec_magic, sizeof(head.magic));
	head.strings_len = strings.len;
	pyi_buf_add(&front, &head, sizeof(head));
	if (spec->seccomp)
		pyi_buf_add(&front, spec->seccomp->insns,
			    spec->seccomp->n * sizeof(spec->seccomp->insns[0]));
	pyi_buf_add(&front, strings.data, strings.len);
	if (strings.failed || front.failed)
		return pyi_err_nomem(err);
	return make_memfd(&front, spec, ret_fd, err);
}

static int bad_spec(struct pyi_err *err, const char *what)
{
	return pyi_err_set(err, EINVAL, "the guest's spec is damaged: %s", what);
}

static int check_head(const struct spec_head *head, size_t size, struct pyi_err *err)
{
	uint64_t n_strings = 2 + (uint64_t)head->n_args + head->n_imports;

	if (memcmp(head->magic, spec_magic, sizeof(head->magic)) || head->version != SPEC_VERSION)
		return bad_spec(err, "another version wrote it");
	if (head->source > PYI_SOURCE_STDIN || (head->flags & ~(uint32_t)SPEC_FLAGS))
		return bad_spec(err, "source or flags");
	if (head->n_insns > PYI_SECCOMP_MAX || !!head->n_insns != !!(head->flags & SPEC_HAS_SECCOMP))
		return bad_spec(err, "filter length");
	if (head->n_args > SPEC_STRINGS_MAX || head->n_imports > SPEC_STRINGS_MAX ||
	    head->strings_len > SPEC_STRINGS_BYTES_MAX || n_strings > head->strings_len)
		return bad_spec(err, "number of strings");
	if (head->text_len > PYI_GUEST_TEXT_MAX)
		return bad_spec(err, "length of the text");
	if ((head->source == PYI_SOURCE_MODULE) == !!(head->flags & SPEC_HAS_TEXT))
		return bad_spec(err, "text and source do not match");
	if (sizeof(*head) + head->n_insns * sizeof(struct sock_filter) + head->strings_len +
		    head->text_len + 1 !=
	    size)
		return bad_spec(err, "length");
	return 0;
}

/* Cut the next string; NULL when there is no terminator before the end. */
static const char *next_string(const char **at, const char *end)
{
	const char *s = *at;
	const char *nul = memchr(s, '\0', end - s);

	if (!nul)
		return NULL;
	*at = nul + 1;
	return s;
}

static int parse_strings(const struct spec_head *head, const char *at,
			 struct pyi_guest_spec_map *map, struct pyi_err *err)
{
	size_t n = (size_t)head->n_args + head->n_imports;
	const char *end = at + head->strings_len;
	struct pyi_guest_spec *spec = &map->spec;

	map->strings = calloc(n + 2, sizeof(char *));
	if (!map->strings)
		return pyi_err_nomem(err);
	spec->name = next_string(&at, end);
	spec->path0 = spec->name ? next_string(&at, end) : NULL;
	if (!spec->path0)
		return bad_spec(err, "a string without an end");
	for (size_t i = 0; i < n; i++) {
		map->strings[i] = (char *)next_string(&at, end);
		if (!map->strings[i])
			return bad_spec(err, "a string without an end");
	}
	if (at != end)
		return bad_spec(err, "bytes after the strings");
	spec->args = map->strings;
	spec->n_args = head->n_args;
	if (head->flags & SPEC_HAS_IMPORTS) {
		spec->imports = (const char *const *)map->strings + head->n_args;
		spec->n_imports = head->n_imports;
	}
	return 0;
}

static int parse(struct pyi_guest_spec_map *map, struct pyi_err *err)
{
	struct pyi_guest_spec *spec = &map->spec;
	const char *at = map->map;
	struct spec_head head;
	int ret;

	memcpy(&head, at, sizeof(head));
	ret = check_head(&head, map->map_len, err);
	if (ret)
		return ret;
	at += sizeof(head);
	spec->source = head.source;
	spec->report_oserrors = head.flags & SPEC_REPORT_OSERRORS;
	spec->mdwe = head.flags & SPEC_MDWE;
	if (head.n_insns) {
		memcpy(map->seccomp.insns, at, head.n_insns * sizeof(map->seccomp.insns[0]));
		map->seccomp.n = head.n_insns;
		spec->seccomp = &map->seccomp;
		at += head.n_insns * sizeof(map->seccomp.insns[0]);
	}
	ret = parse_strings(&head, at, map, err);
	if (ret)
		return ret;
	at += head.strings_len;
	if (at[head.text_len])
		return bad_spec(err, "text without an end");
	if (head.flags & SPEC_HAS_TEXT) {
		spec->text = at;
		spec->text_len = head.text_len;
	}
	return 0;
}

int pyi_guest_spec_read(int fd, struct pyi_guest_spec_map *ret_map, struct pyi_err *err)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	void *map;
	int ret;

	memset(ret_map, 0, sizeof(*ret_map));
	if (seals < 0 || (seals & SPEC_SEALS) != SPEC_SEALS)
		return pyi_err_set(err, EINVAL, "descriptor %d is not a sealed spec", fd);
	if (fstat(fd, &st))
		return pyi_err_sys(err, errno, "cannot read the guest's spec");
	if (st.st_size <= (off_t)sizeof(struct spec_head) || st.st_size > INT_MAX)
		return bad_spec(err, "length");
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return pyi_err_sys(err, errno, "cannot map the guest's spec");
	ret_map->map = map;
	ret_map->map_len = st.st_size;
	ret = parse(ret_map, err);
	if (ret)
		pyi_guest_spec_release(ret_map);
	return ret;
}

void pyi_guest_spec_release(struct pyi_guest_spec_map *map)
{
	if (map->map)
		munmap((void *)map->map, map->map_len);
	free(map->strings);
	memset(map, 0, sizeof(*map));
}
