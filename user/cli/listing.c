// SPDX-License-Identifier: Apache-2.0
#include "cli/listing.h"

#include <errno.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/decision.h"
#include "kernel/load.h"
#include "kernel/status.h"

void cli_listing_put(struct listing *list, json_t *object)
{
	json_array_append_new(list->array, object);
}

static int list_maps(const char *pin_dir, struct listing *list,
		     const struct listing_source *sources, size_t n, struct pc_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_close_ int fd = kern_map_open(pin_dir, sources[i].map, err);

		if (fd < 0)
			return fd;
		r = kern_map_each(fd, sources[i].key_size, sources[i].value_size, sources[i].row,
				  list);
	}
	return r;
}

static void print_listing(const struct listing *list, const struct listing_source *source,
			  const char *pin_dir)
{
	cli_table_print(list->table);
	if (source->print_below)
		source->print_below(pin_dir);
}

int cli_listing_run(const struct cli_command *self, int argc, char **argv,
		    const struct listing_source *sources, size_t n_sources,
		    const char *const *headings, size_t n_headings)
{
	const char *pin_dir = NULL;
	struct listing list = {.pods_fd = -EBADF};
	const struct cli_option options[] = {CLI_JSON(list.json), CLI_PIN_DIR(pin_dir)};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	if (!pin_dir)
		pin_dir = KERN_PIN_DIR;
	list.table = cli_table_new(n_headings, headings);
	list.array = json_array();
	list.pods_fd = kern_map_open(pin_dir, KERN_MAP_PODS, &err);
	r = list.pods_fd < 0 ? list.pods_fd : list_maps(pin_dir, &list, sources, n_sources, &err);
	if (r < 0)
		r = cli_fail(list.json, r, &err);
	else if (list.json)
		r = cli_print_json(json_incref(list.array));
	else
		print_listing(&list, sources, pin_dir);
	cli_table_free(list.table);
	json_decref(list.array);
	cleanup_close(&list.pods_fd);
	return r;
}

static const char *label_of(int pods_fd, uint64_t cgroup_id, char *buf, size_t size)
{
	struct podcred_pod pod;
	bool known = kern_pod_read(pods_fd, cgroup_id, &pod) == 0;

	return cli_pod_label(known ? &pod : NULL, cgroup_id, buf, size);
}

static const char *age(uint64_t since_ns, char *buf, size_t size)
{
	snprintf(buf, size, "%.1fs", ((double)clock_boot_ns() - (double)since_ns) / 1e9);
	return buf;
}

static json_t *json_stamp(const struct listing *list, const struct podcred_stamp *stamp)
{
	char dialled[NET_ADDR_TEXT], label[512];

	return json_pack("{sssIsIsssisIsIsb}", "pod",
			 label_of(list->pods_fd, stamp->pod_cgroup_id, label, sizeof(label)),
			 "podCgroupId", (json_int_t)stamp->pod_cgroup_id, "cgroupId",
			 (json_int_t)stamp->cgroup_id, "dialled",
			 net_addr_format(stamp->addr.ip, stamp->port, dialled, sizeof(dialled)),
			 "pid", (int)stamp->tgid, "uid", (json_int_t)stamp->uid, "netnsCookie",
			 (json_int_t)stamp->netns_cookie, "direct",
			 (int)!!(stamp->flags & PODCRED_PEER_DIRECT));
}

void cli_listing_put_connection(struct listing *list, const char *client, const char *agent,
				const struct podcred_stamp *stamp, const char *conflict)
{
	char label[512], dialled[NET_ADDR_TEXT], pid[16], old[32];

	if (list->json) {
		json_t *object = json_stamp(list, stamp);

		json_object_set_new(object, "client", json_string(client));
		json_object_set_new(object, "agent", json_string(agent));
		if (conflict)
			json_object_set_new(object, "conflict", json_boolean(*conflict));
		cli_listing_put(list, object);
		return;
	}
	snprintf(pid, sizeof(pid), "%u", stamp->tgid);
	cli_table_row(list->table, client,
		      label_of(list->pods_fd, stamp->pod_cgroup_id, label, sizeof(label)),
		      net_addr_format(stamp->addr.ip, stamp->port, dialled, sizeof(dialled)), pid,
		      age(stamp->time_ns, old, sizeof(old)),
		      conflict && *conflict		   ? conflict
		      : stamp->flags & PODCRED_PEER_DIRECT ? "direct"
							   : "");
}
