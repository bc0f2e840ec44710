// SPDX-License-Identifier: Apache-2.0
/* Interfaces of pods and uplinks: new ones get their programs. */
#include "net/links.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "node/ifaces.h"
#include "resolver/resolver.h"

static void on_links(void *arg, unsigned ready)
{
	const struct resolver *res = arg;

	(void)ready;
	node_ifaces_follow(res->links.fd, res->options->pin_dir);
}

static int open_watch(struct resolver *res)
{
	_cleanup_close_ int fd = net_links_watch_open();
	int r = fd;

	if (r >= 0)
		r = loop_watch(res->loop, fd, LOOP_READ, on_links, res, &res->links.watch);
	if (r == 0)
		res->links.fd = TAKE_FD(fd);
	return r;
}

/* When nobody tells of new interfaces, the resolver looks for them itself. */
static void watch_links(struct resolver *res)
{
	int r = open_watch(res); /* before the walk: nothing comes in between */

	if (r < 0 && r != res->links.error)
		log_warn("cannot watch the network interfaces: %s; looking for new ones every two "
			 "seconds",
			 strerror(-r));
	res->links.error = r;
	node_ifaces_attach(res->options->pin_dir);
}

static void look(void *arg)
{
	struct resolver *res = arg;

	node_ifaces_attach_uplinks(res->options->pin_dir); /* a route changes without any event */
	if (res->links.fd < 0)
		watch_links(res);
}

int resolver_links_start(struct resolver *res, struct pc_err *err)
{
	(void)err;
	watch_links(res);
	return loop_every(res->loop, 0, RESOLVE_SOON_NS, look, res, NULL);
}

void resolver_links_stop(struct resolver *res)
{
	cleanup_close(&res->links.fd);
}
