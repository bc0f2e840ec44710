// SPDX-License-Identifier: Apache-2.0
/* What this process was started with is what an installed program needs: nobody has to keep a list. */
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "host/internal.h"

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add(struct host_files *files, const char *dir, const char *name, const char *source,
	       const char *text, mode_t mode)
{
	struct host_file file = {.mode = mode};

	if (files->n == HOST_MAX_FILES)
		return -E2BIG;
	if (asprintf(&file.name, "%s%s", dir, name) < 0)
		return -ENOMEM;
	file.source = source ? strdup(source) : NULL;
	file.text = text ? strdup(text) : NULL;
	files->v[files->n++] = file;
	return file.source || file.text ? 0 : -ENOMEM;
}

/* ---- libraries ---- */

static void note_loader(struct host_files *files, const struct dl_phdr_info *info)
{
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			snprintf(files->loader, sizeof(files->loader), "%s",
				 name_of((const char *)(info->dlpi_addr +
							info->dlpi_phdr[i].p_vaddr)));
}

/* The program itself comes first and has no name; the vdso has one, but is no file. */
static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct host_files *files = arg;

	(void)size;
	if (!files->loader[0])
		note_loader(files, info);
	if (!strchr(info->dlpi_name, '/') || !strstr(name_of(info->dlpi_name), ".so"))
		return 0;
	return add(files, "lib/", name_of(info->dlpi_name), info->dlpi_name, NULL, 0755);
}

/* The loader, when it was told to start the program, as on a host where this is installed already. */
static char *own_program(const struct host_files *files)
{
	char *path = realpath("/proc/self/exe", NULL);

	if (!path || strcmp(name_of(path), files->loader) != 0)
		return path;
	free(path);
	return strdup(program_invocation_name);
}

static int add_program(struct host_files *files)
{
	_cleanup_free_ char *program = own_program(files);

	return program ? add(files, "bin/", "podcred", program, NULL, 0755) : -ENOMEM;
}

/* ---- texts ---- */

static int add_config(const struct host_options *options, struct host_files *files)
{
	return options->config ? add(files, "", HOST_CONFIG, NULL, options->config, 0644) : 0;
}

/* For people on the node: the program does not start by itself where its libraries are not. */
static int add_wrapper(const struct host_options *options, struct host_files *files)
{
	_cleanup_free_ char *text = NULL;
	const char *dir = options->dir;

	if (asprintf(&text,
		     "#!/bin/sh\n"
		     "# podcred of the image, for a shell on this node.\n"
		     "exec '%s/" HOST_CURRENT
		     "/lib/%s' --inhibit-cache --library-path '%s/" HOST_CURRENT
		     "/lib' \\\n    '%s/" HOST_CURRENT "/bin/podcred' \"$@\"\n",
		     dir, files->loader, dir, dir) < 0)
		return -ENOMEM;
	return add(files, "", "podcred", NULL, text, 0755);
}

int host_files_find(const struct host_options *options, struct host_files *ret, struct pc_err *err)
{
	int r;

	*ret = (struct host_files){};
	r = dl_iterate_phdr(on_object, ret);
	if (r == 0 && !ret->loader[0])
		return pc_err_set(err, -ENOTSUP,
				  "this podcred has no dynamic loader; install that of the image");
	if (r == 0)
		r = add_program(ret);
	if (r == 0)
		r = add_config(options, ret);
	if (r == 0)
		r = add_wrapper(options, ret);
	return r < 0 ? pc_err_set(err, r, "cannot list what to install: %s", strerror(-r)) : 0;
}

void host_files_done(struct host_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->v[i].name);
		free(files->v[i].source);
		free(files->v[i].text);
	}
	*files = (struct host_files){};
}
